"""What a registered file is: known by its bytes, and known again without reading them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vidsearch.media import Source, content_hash
from vidsearch_mappings.registry import VideoRecord

__all__ = ["VideoContent", "read_content"]


@dataclass(frozen=True, slots=True)
class VideoContent:
    """The bytes of a video, and of the subtitle files beside it."""

    hash: str
    """SHA-256 of the file's bytes."""
    validator: str | None
    """What stays equal as long as the bytes do; ``None`` where nothing tells that."""
    subtitles: tuple[str, ...]
    """SHA-256 of each subtitle file, the one to prefer first."""

    @classmethod
    def of_record(cls, record: VideoRecord) -> VideoContent | None:
        """As it was read last; ``None`` where it never was, or under another URI."""
        if record.content is None:
            return None
        source = record.source
        return cls(record.content, source.get("validator"), tuple(source.get("subtitles", ())))

    def to_record(self) -> dict[str, Any]:
        """Values of the record."""
        source = {"validator": self.validator, "subtitles": list(self.subtitles)}
        return {"content": self.hash, "source": {k: v for k, v in source.items() if v}}


def read_content(
    source: Source,
    *,
    known: VideoContent | None,
    trust: bool,
    subtitles: bool,
    at: Callable[[str], None],
) -> VideoContent:
    """Ask for the validator, and fetch the file where that does not tell what it is.

    The validator is asked for before the file: where the file changes in between, the next reading
    finds another one, and reads again.

    Args:
        source: the file where it lies.
        known: what it was before.
        trust: whether an equal validator says that the bytes are the same.
        subtitles: whether files beside it are read.
        at: called with ``"fetch"`` or ``"hash"`` before each step.

    Raises:
        VideoError, SourceUnavailableError: see :func:`~vidsearch.media.open_source`. Also where the
            place of subtitles does not answer that it had some before.
    """
    validator = source.validator() if trust else None
    if subtitles and known is not None and known.subtitles:
        source.require_sidecars()  # else they would count as taken away
    if known is not None and validator is not None and validator == known.validator:
        digest = known.hash
    else:
        path = source.file().path
        at("hash")
        digest = content_hash(path)
    beside = [content_hash(sidecar.path) for sidecar in source.sidecars] if subtitles else []
    return VideoContent(digest, validator, tuple(beside))
