"""Pairs of a caption and the video that it describes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from vidsearch.errors import EvaluationError

__all__ = ["CaptionRow", "LeftOut", "ListedVideo", "Pairs"]


class ListedVideo(NamedTuple):
    """A video as a file of captions names it."""

    key: str
    """What the file calls it."""
    names: tuple[str, ...]
    """Where its file may lie below the folder of videos, the likeliest first."""


class CaptionRow(NamedTuple):
    """One caption of a file."""

    video: ListedVideo
    caption: str


class LeftOut(NamedTuple):
    """A video, or a caption of it, that is not part of the evaluation."""

    video: str
    """Its key."""
    reason: str


@dataclass(frozen=True, slots=True)
class Pairs:
    """Captions, each of one video; a video may have several.

    Raises:
        EvaluationError: there is no pair.
    """

    videos: tuple[ListedVideo, ...]
    captions: tuple[str, ...]
    video_of: tuple[int, ...]
    """Number of the video that each caption is of."""
    left_out: tuple[LeftOut, ...] = field(default=())
    """Rows without a caption."""

    def __post_init__(self) -> None:
        if not self.captions:
            raise EvaluationError("there is no pair of a caption and a video to evaluate")

    @classmethod
    def of(cls, rows: Iterable[CaptionRow]) -> Pairs:
        """Put together the rows of each video; its key tells which are of one."""
        numbers: dict[str, int] = {}
        videos: list[ListedVideo] = []
        captions: list[str] = []
        video_of: list[int] = []
        left_out: list[LeftOut] = []
        for video, caption in rows:
            text = " ".join(caption.split())
            if not text:
                left_out.append(LeftOut(video.key, "its caption is empty"))
                continue
            number = numbers.setdefault(video.key, len(videos))
            if number == len(videos):
                videos.append(video)
            captions.append(text)
            video_of.append(number)
        return cls(tuple(videos), tuple(captions), tuple(video_of), tuple(left_out))

    def only(self, keys: Collection[str]) -> Pairs:
        """The pairs of these videos.

        Raises:
            EvaluationError: a key is of no video.
        """
        unknown = set(keys) - {video.key for video in self.videos}
        if unknown:
            first = ", ".join(sorted(unknown)[:3])
            raise EvaluationError(
                f"{len(unknown)} of {len(keys)} videos that were asked for have no caption: {first}"
            )
        return self._where([self.videos[number].key in keys for number in self.video_of])

    def last(self, number: int) -> Pairs:
        """The last pairs, in the order of the file."""
        first = len(self.captions) - number
        return self._where([at >= first for at in range(len(self.captions))])

    def without(self, left_out: Iterable[LeftOut]) -> Pairs:
        """The pairs of all other videos; :attr:`left_out` names these as well.

        Raises:
            EvaluationError: none is left; the message gives the first reasons.
        """
        lost = tuple(left_out)
        keys = {each.video for each in lost}
        kept = [self.videos[number].key not in keys for number in self.video_of]
        if not any(kept):
            reasons = "; ".join(f"{each.video}: {each.reason}" for each in lost[:3])
            raise EvaluationError(f"none of {len(self.videos)} videos can be embedded: {reasons}")
        return self._where(kept, lost)

    def _where(self, kept: list[bool], lost: tuple[LeftOut, ...] = ()) -> Pairs:
        rows = zip(kept, self.captions, self.video_of, strict=True)
        made = Pairs.of(
            CaptionRow(self.videos[number], caption) for keep, caption, number in rows if keep
        )
        return Pairs(made.videos, made.captions, made.video_of, (*self.left_out, *lost))
