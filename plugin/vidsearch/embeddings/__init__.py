"""From a video file to one vector for the whole video and one for each segment."""

from __future__ import annotations

from vidsearch.embeddings.pipeline import Segment, VideoEmbedding, embed_video
from vidsearch.embeddings.segment_policy import SegmentPolicy

__all__ = ["Segment", "SegmentPolicy", "VideoEmbedding", "embed_video"]
