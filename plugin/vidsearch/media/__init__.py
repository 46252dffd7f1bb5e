"""A video's URI → a local file → frames, subtitles, cuts and thumbnails.

Importing this package loads nothing: the names below are imported when first used, and cv2, PIL,
av and fsspec later still. They are what other packages use; the rest is imported from its module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidsearch.lazy import imported_late

if TYPE_CHECKING:
    from vidsearch.media.decoders import open_decoder
    from vidsearch.media.frames import (
        Cue,
        Decoder,
        FrameBatch,
        FrameStream,
        MediaLimits,
        MediaReader,
        Sampling,
    )
    from vidsearch.media.hashing import content_hash
    from vidsearch.media.readers import open_reader
    from vidsearch.media.segments import (
        SegmentSpan,
        fixed_segments,
        require_shots,
        semantic_segments,
        shot_segments,
    )
    from vidsearch.media.sources import (
        LocalFile,
        Source,
        check_sources,
        fetch,
        open_source,
        public_uri,
    )
    from vidsearch.media.still_images import rgb_pixels
    from vidsearch.media.subtitles import best_cues, segment_texts, transcript
    from vidsearch.media.thumbnails import Candidates, ThumbnailStore

__all__ = [
    "Candidates",
    "Cue",
    "Decoder",
    "FrameBatch",
    "FrameStream",
    "LocalFile",
    "MediaLimits",
    "MediaReader",
    "Sampling",
    "SegmentSpan",
    "Source",
    "ThumbnailStore",
    "best_cues",
    "check_sources",
    "content_hash",
    "fetch",
    "fixed_segments",
    "open_decoder",
    "open_reader",
    "open_source",
    "public_uri",
    "require_shots",
    "rgb_pixels",
    "segment_texts",
    "semantic_segments",
    "shot_segments",
    "transcript",
]

__getattr__, __dir__ = imported_late(
    __name__,
    {
        "Candidates": "vidsearch.media.thumbnails",
        "Cue": "vidsearch.media.frames",
        "Decoder": "vidsearch.media.frames",
        "FrameBatch": "vidsearch.media.frames",
        "FrameStream": "vidsearch.media.frames",
        "LocalFile": "vidsearch.media.sources",
        "MediaLimits": "vidsearch.media.frames",
        "MediaReader": "vidsearch.media.frames",
        "Sampling": "vidsearch.media.frames",
        "SegmentSpan": "vidsearch.media.segments",
        "Source": "vidsearch.media.sources",
        "ThumbnailStore": "vidsearch.media.thumbnails",
        "best_cues": "vidsearch.media.subtitles",
        "check_sources": "vidsearch.media.sources",
        "content_hash": "vidsearch.media.hashing",
        "fetch": "vidsearch.media.sources",
        "fixed_segments": "vidsearch.media.segments",
        "open_decoder": "vidsearch.media.decoders",
        "open_reader": "vidsearch.media.readers",
        "open_source": "vidsearch.media.sources",
        "public_uri": "vidsearch.media.sources",
        "require_shots": "vidsearch.media.segments",
        "rgb_pixels": "vidsearch.media.still_images",
        "segment_texts": "vidsearch.media.subtitles",
        "semantic_segments": "vidsearch.media.segments",
        "shot_segments": "vidsearch.media.segments",
        "transcript": "vidsearch.media.subtitles",
    },
)
