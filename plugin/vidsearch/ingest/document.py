"""The document that stands in the index, and the fingerprint that says whether it is current."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from vidsearch.encoders import ModelIdentity
from vidsearch.engines.base import Json
from vidsearch.ingest.embedding import VideoEmbedding
from vidsearch.ingest.record import VideoRecord, to_stamp
from vidsearch.ingest.videos_index import VideosIndex

__all__ = ["fingerprint", "model_name", "video_document", "with_fields"]


def fingerprint(
    content: str, *, model: ModelIdentity, index: VideosIndex, max_segments: int
) -> str:
    """Equal where ingesting again would write the same vectors; 64 hex digits.

    Args:
        content: hash of the file's bytes.
        model: identity of the encoder, sampling included.
        index: its layout and segment length.
        max_segments: most moments per video.
    """
    parts = {
        "content": content,
        "model": model.to_meta(),
        "layout": index.layout,
        "segment_seconds": index.segment_seconds,
        "max_segments": max_segments,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def model_name(model: ModelIdentity) -> str:
    """The keyword under which a document names its model."""
    return f"{model.name}@{model.revision}"


def video_document(
    record: VideoRecord,
    embedding: VideoEmbedding,
    *,
    index: VideosIndex,
    fingerprint: str,
    embedded_at: float,
) -> Json:
    """The whole document: the host's fields on top, ours under the index's object."""
    ours: dict[str, Any] = {
        "uri": record.uri,
        "model": model_name(index.model),
        "fingerprint": fingerprint,
        "embedded_at": to_stamp(embedded_at),
        "duration": embedding.duration,
        "width": embedding.width,
        "height": embedding.height,
        "vector": embedding.vector.tolist(),
        "segments": [
            {"start": s.start, "end": s.end, "vector": s.vector.tolist()}
            for s in embedding.segments
        ],
    }
    return {**record.fields, index.field: ours}


def with_fields(record: VideoRecord, stored: Json, *, index: VideosIndex) -> Json:
    """The stored document with the record's fields and uri, and the vectors as they are."""
    return {**record.fields, index.field: {**stored[index.field], "uri": record.uri}}
