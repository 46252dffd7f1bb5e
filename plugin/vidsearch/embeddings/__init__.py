"""From a video file to unit vectors of its frames, and from those to its vector and segments."""

from __future__ import annotations

from vidsearch.embeddings.assemble import Segment, VideoEmbedding, assemble, embed_video
from vidsearch.embeddings.frame_embedder import FrameEmbedder, embed_uri
from vidsearch.embeddings.frame_vectors import FrameVectors
from vidsearch.embeddings.kept_video import KeptVideo
from vidsearch.embeddings.segment_policy import SegmentPolicy
from vidsearch.embeddings.store import EmbeddingStore

__all__ = [
    "EmbeddingStore",
    "FrameEmbedder",
    "FrameVectors",
    "KeptVideo",
    "Segment",
    "SegmentPolicy",
    "VideoEmbedding",
    "assemble",
    "embed_uri",
    "embed_video",
]
