"""A video's document in the index, and the fingerprint that says whether it is current."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from vidsearch.embeddings import Segment, SegmentPolicy, VideoEmbedding
from vidsearch.encoders import ModelIdentity
from vidsearch.engines import Json
from vidsearch.index.videos_index import VideosIndex
from vidsearch_mappings.registry import VideoRecord, to_stamp
from vidsearch_mappings.videos import SUBTITLES

__all__ = [
    "fields_of",
    "fingerprint",
    "is_whole",
    "lacking",
    "model_name",
    "video_document",
    "with_fields",
]


def fingerprint(
    content: str,
    *,
    index: VideosIndex,
    segments: SegmentPolicy,
    subtitles: Sequence[str] | None,
    thumbnails: str | None,
) -> str:
    """Equal where ingesting again would write the same document; 64 hex digits.

    Args:
        content: hash of the file's bytes.
        index: gives the layout, and the model with its sampling.
        segments: how videos are cut.
        subtitles: preferred languages, and hashes of the subtitle files beside the video; ``None``
            where subtitles are not read.
        thumbnails: format and size; ``None`` where none are made.
    """
    parts = {
        "content": content,
        "model": index.identity.compared(),
        "layout": index.layout,
        # These names are part of every stored fingerprint: another would embed all videos again.
        "moments": {
            "method": segments.method,
            "length": segments.length,
            "overlap": segments.overlap,
            "limit": segments.limit,
        },
        "subtitles": subtitles if subtitles is None else list(subtitles),
        "thumbnails": thumbnails,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def lacking(fingerprint: str) -> str:
    """The fingerprint of a document that lacks what could not be read, as the file was gone.

    It is another one, so that ingesting again looks for the file and makes the document whole.
    """
    return hashlib.sha256(f"{fingerprint} lacking".encode()).hexdigest()


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
    """The whole document: the registered fields, and the vidsearch object."""
    video: dict[str, Any] = {
        "uri": record.uri,
        "model": model_name(index.identity),
        "fingerprint": fingerprint,
        "embedded_at": to_stamp(embedded_at),
        "duration": embedding.duration,
        "width": embedding.width,
        "height": embedding.height,
        "vector": embedding.vector,
        "segments": [_segment(segment) for segment in embedding.segments],
    }
    if embedding.subtitles:
        video[SUBTITLES] = embedding.subtitles
    return {**record.fields, index.field: video}


def _segment(segment: Segment) -> Json:
    source: Json = {"start": segment.start, "end": segment.end, "vector": segment.vector}
    if segment.text:
        source["text"] = segment.text
    if segment.thumbnail:
        source["thumbnail"] = segment.thumbnail
    return source


def fields_of(source: Json, index: VideosIndex) -> Json:
    """A stored document without the vidsearch object."""
    return {name: value for name, value in source.items() if name != index.field}


def is_whole(source: Json, index: VideosIndex) -> bool:
    """Whether a stored document has its vectors; an engine that keeps vectors out of the source
    could not write them back."""
    video = source.get(index.field) or {}
    return "vector" in video and "segments" in video


def with_fields(record: VideoRecord, stored: Json, *, index: VideosIndex) -> Json:
    """The stored document with the registered fields and URI, and its vectors unchanged."""
    fields = stored if index.attached else record.fields
    return {**fields, index.field: {**stored[index.field], "uri": record.uri}}
