"""From a file of captions and a folder of videos to pairs to train on, to choose by and to test."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from vidsearch.config import IngestSettings, SourceSettings
from vidsearch.errors import FineTuningError
from vidsearch.evaluation import Pairs, VideoFiles
from vidsearch.evaluation.files import Progress, read_each
from vidsearch.evaluation.pairs import ListedVideo
from vidsearch.finetuning.devices import Devices
from vidsearch.finetuning.examples import Examples, Pictures
from vidsearch.finetuning.frame_cache import FrameCache
from vidsearch.media import MediaLimits, open_reader

__all__ = ["Prepared", "Splits", "examples_of", "prepare", "split"]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Pairs whose videos have their pictures in the cache."""

    pairs: Pairs
    """Without what was left out, which it names."""
    contents: Mapping[str, str]
    """Hash of the file, by the video's key."""
    decoded: int
    """Videos that were decoded; the pictures of the others were kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Splits:
    """Three sets of pairs that share no video."""

    train: Pairs
    validation: Pairs
    """Decides which epoch is best."""
    test: Pairs | None
    """Not looked at before the end; ``None`` where none was asked for."""


def prepare(
    pairs: Pairs,
    files: VideoFiles,
    cache: FrameCache,
    *,
    ingest: IngestSettings,
    sources: SourceSettings,
    devices: Devices,
    progress: Progress = lambda done, total: None,
) -> Prepared:
    """Decode what the cache does not hold. Goes on where it was interrupted.

    Of several processes each decodes its share, and learns what the others did.

    Args:
        pairs: captions and their videos.
        files: where the videos are.
        cache: gets the pictures.
        ingest: how videos are decoded.
        sources: where they may be read from.
        devices: the processes that share the work.
        progress: told how many videos of how many of this process's share are done.

    Raises:
        EvaluationError: no video can be read.
        SourceUnavailableError: a disk did not answer, or is full.
    """
    contents: dict[str, str] = {}
    decoded = 0
    with closing(open_reader(ingest, limits=MediaLimits.of(sources))) as reader:

        def decode(video: ListedVideo, path: Path, copy: Path, content: str) -> None:
            nonlocal decoded
            if cache.pictures(content) is None:
                cache.add(content, copy, reader, max_damaged=ingest.max_damaged)
                decoded += 1
            contents[video.key] = content

        own = devices.share(pairs.videos)
        lost = read_each(own, files, decode, sources=sources, progress=progress)
    shares = devices.all_of([(contents, lost, decoded)])
    left_out = [each for _, lost, _ in shares for each in lost]
    return Prepared(
        pairs.without(left_out) if left_out else pairs,
        {key: content for contents, _, _ in shares for key, content in contents.items()},
        sum(decoded for _, _, decoded in shares),
    )


def split(
    prepared: Prepared,
    *,
    share: float,
    validation: Collection[str] | None = None,
    test: Collection[str] | None = None,
) -> Splits:
    """Part the pairs by their videos; two copies of a video are never on two sides.

    Args:
        prepared: all pairs.
        share: of the videos that are not named, taken for validation by the hash of their content,
            one at least; not looked at if ``validation`` is given.
        validation: keys of the videos of that split.
        test: keys of the videos that are only tested.

    Raises:
        FineTuningError: a side would be empty, or a video is asked for on two.
    """
    contents = prepared.contents
    tested = {contents[key] for key in test or () if key in contents}
    if validation is not None:
        chosen = {contents[key] for key in validation if key in contents}
    else:
        others = sorted(set(contents.values()) - tested)
        chosen = set(others[: max(1, round(share * len(others)))])
    if both := [key for key, content in contents.items() if content in chosen & tested]:
        raise FineTuningError(f"{both[0]!r} is asked for both for validation and for the test")

    def side(name: str, wanted: set[str]) -> Pairs:
        keys = {key for key, content in contents.items() if content in wanted}
        if not keys:
            raise FineTuningError(
                f"no video is left for {name}: {len(set(contents.values()))} different ones can be "
                f"read, {len(chosen)} of them are for validation and {len(tested)} for the test"
            )
        return prepared.pairs.only(keys)

    return Splits(
        side("training", set(contents.values()) - chosen - tested),
        side("validation", chosen),
        None if test is None else side("the test", tested),
    )


def examples_of(pairs: Pairs, contents: Mapping[str, str], cache: FrameCache) -> Examples:
    """Pairs with the pictures of the cache.

    Raises:
        FineTuningError: when pictures are read that are gone from the cache.
    """
    keys = [contents[video.key] for video in pairs.videos]

    def pictures(number: int) -> Pictures:
        found = cache.pictures(keys[number])
        if found is None:
            raise FineTuningError(
                f"the pictures of {pairs.videos[number].key!r} are gone from the cache of frames: "
                "start again, which decodes what is missing and goes on"
            )
        return found

    return Examples(pairs.captions, pairs.video_of, keys, pictures)
