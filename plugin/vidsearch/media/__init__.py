"""A video's URI → a local file → frames → CLIP pixels.

Importing this package loads neither cv2, PIL, av nor fsspec; they are imported when first used.
"""

from __future__ import annotations

from vidsearch.media.decoders import open_decoder
from vidsearch.media.frames import Decoder, FrameBatch, MediaLimits, Sampling, VideoInfo
from vidsearch.media.hashing import content_hash
from vidsearch.media.pixels import CLIP_PIXELS, PixelRecipe, clip_pixels
from vidsearch.media.reader import Cue, MediaReader, open_reader
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
