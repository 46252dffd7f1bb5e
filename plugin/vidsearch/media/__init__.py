"""A video's URI → a local file → frames → CLIP pixels.

Importing this package loads nothing: the names below are imported when first used, and cv2, PIL,
av and fsspec later still.
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
        MediaLimits,
        MediaReader,
        Sampling,
        VideoInfo,
    )
    from vidsearch.media.hashing import content_hash
    from vidsearch.media.pixels import CLIP_PIXELS, PixelRecipe, clip_pixels
    from vidsearch.media.readers import open_reader
    from vidsearch.media.segments import (
        Window,
        find_shots,
        fixed_windows,
        require_shots,
        semantic_windows,
        shot_windows,
    )
    from vidsearch.media.sources import LocalFile, check_sources, fetch, public_uri
    from vidsearch.media.subtitles import (
        embedded_cues,
        sidecar_cues,
        spoken_in,
        spoken_in_each,
        transcript,
    )
    from vidsearch.media.thumbnails import Candidates, ThumbnailStore

__all__ = [
    "CLIP_PIXELS",
    "Candidates",
    "Cue",
    "Decoder",
    "FrameBatch",
    "LocalFile",
    "MediaLimits",
    "MediaReader",
    "PixelRecipe",
    "Sampling",
    "ThumbnailStore",
    "VideoInfo",
    "Window",
    "check_sources",
    "clip_pixels",
    "content_hash",
    "embedded_cues",
    "fetch",
    "find_shots",
    "fixed_windows",
    "open_decoder",
    "open_reader",
    "public_uri",
    "require_shots",
    "semantic_windows",
    "shot_windows",
    "sidecar_cues",
    "spoken_in",
    "spoken_in_each",
    "transcript",
]

__getattr__, __dir__ = imported_late(
    __name__,
    {
        "CLIP_PIXELS": "vidsearch.media.pixels",
        "Candidates": "vidsearch.media.thumbnails",
        "Cue": "vidsearch.media.frames",
        "Decoder": "vidsearch.media.frames",
        "FrameBatch": "vidsearch.media.frames",
        "LocalFile": "vidsearch.media.sources",
        "MediaLimits": "vidsearch.media.frames",
        "MediaReader": "vidsearch.media.frames",
        "PixelRecipe": "vidsearch.media.pixels",
        "Sampling": "vidsearch.media.frames",
        "ThumbnailStore": "vidsearch.media.thumbnails",
        "VideoInfo": "vidsearch.media.frames",
        "Window": "vidsearch.media.segments",
        "check_sources": "vidsearch.media.sources",
        "clip_pixels": "vidsearch.media.pixels",
        "content_hash": "vidsearch.media.hashing",
        "embedded_cues": "vidsearch.media.subtitles",
        "fetch": "vidsearch.media.sources",
        "find_shots": "vidsearch.media.segments",
        "fixed_windows": "vidsearch.media.segments",
        "open_decoder": "vidsearch.media.decoders",
        "open_reader": "vidsearch.media.readers",
        "public_uri": "vidsearch.media.sources",
        "require_shots": "vidsearch.media.segments",
        "semantic_windows": "vidsearch.media.segments",
        "shot_windows": "vidsearch.media.segments",
        "sidecar_cues": "vidsearch.media.subtitles",
        "spoken_in": "vidsearch.media.subtitles",
        "spoken_in_each": "vidsearch.media.subtitles",
        "transcript": "vidsearch.media.subtitles",
    },
)
