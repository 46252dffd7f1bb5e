"""The query vector of an image, a clip, a vector or an indexed video.

An image is a video of one frame. A clip is embedded as an ingested video is: the unit mean of the
frames that the settings sample.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidsearch.config import IngestSettings, SourceSettings
from vidsearch.defaults import BATCH_SIZE
from vidsearch.encoders.base import Encoder
from vidsearch.encoders.output import embedded_frames, embedded_texts
from vidsearch.engines import EngineKind
from vidsearch.engines.vectors import BYTE_ORDERS, decode_vector
from vidsearch.errors import (
    ModelUnavailableError,
    QueryError,
    SourceUnavailableError,
    VideoError,
)
from vidsearch.search.image_files import opened_image, readable, require_few_pixels
from vidsearch.search.request import SearchRequest
from vidsearch.search.timecode import seconds_text

__all__ = ["MediaInput", "QueryVector", "given_vector", "stored_vector", "text_vectors"]

_MAX_CLIP_SECONDS = 600.0
_MAX_IMAGE_BYTES = 64 * 1024 * 1024
_ROUNDING = 1e-3
"""Seconds by which a start may differ from the stored one: people round it to milliseconds."""
_ROUNDING_OF_ENGINES = 2.0**-23
"""The same as a share of it: the mapping has times as floats of 32 bits."""


class QueryVector(NamedTuple):
    """What the vector leg of a search compares with; empty in keyword mode."""

    values: Sequence[float] = ()
    warnings: tuple[str, ...] = ()
    """What the user should know of how it was made."""


@dataclass(frozen=True, slots=True)
class MediaInput:
    """Turns images and clips into vectors."""

    sources: SourceSettings = field(default_factory=SourceSettings)
    """Where files may come from, and how large they may be."""
    ingest: IngestSettings = field(default_factory=IngestSettings)
    """How frames are sampled and decoded."""
    batch_size: int = BATCH_SIZE
    """Frames per step."""

    def image(self, image: Any, *, encoder: Encoder) -> NDArray[np.float32]:
        """The unit vector of an image: ``(dims,)`` float32.

        Args:
            image: path or URL, bytes of a file, a PIL image, or ``(height, width, 3)`` uint8 RGB.
            encoder: embeds it.

        Raises:
            QueryError: not an image; the message says why.
            MissingExtraError: Pillow is not installed.
            SourceUnavailableError: the place that holds it did not answer.
            EncoderError: the model failed.
        """
        from vidsearch.media import FrameBatch

        pixels = self._pixels(image)
        batch = FrameBatch(pixels[np.newaxis], np.zeros(1))
        with _asked_for("image"):
            vector: NDArray[np.float32] = embedded_frames(encoder, batch)[0]
        return vector

    def clip(self, clip: Any, *, encoder: Encoder) -> NDArray[np.float32]:
        """The unit vector of a clip, a path or a URL: ``(dims,)`` float32.

        Only its first ten minutes count. A remote clip is fetched to a temporary file.

        Raises:
            QueryError: not a video that can be read; the message says why.
            SourceUnavailableError: the place that holds it did not answer.
            EncoderError: the model failed.
        """
        from vidsearch.embeddings import embed_uri

        uri = _uri("clip", clip)
        with _asked_for("clip"):
            return embed_uri(
                uri,
                encoder=encoder,
                ingest=self.ingest,
                sources=self.sources,
                batch_size=self.batch_size,
                stop=_MAX_CLIP_SECONDS,
            ).mean()

    def _pixels(self, image: Any) -> NDArray[np.uint8]:
        if isinstance(image, np.ndarray):
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
                raise QueryError(
                    "an image given as an array is uint8 RGB of shape (height, width, 3), "
                    f"not {image.dtype} {image.shape}"
                )
            return image
        if isinstance(image, (bytes, bytearray, memoryview)):
            return self._decoded(io.BytesIO(bytes(image)), what="the image")
        from vidsearch.media import fetch, public_uri, rgb_pixels

        if hasattr(image, "convert") and hasattr(image, "size"):  # a PIL image, without PIL
            with readable("the image"):  # Pillow reads a file when its pixels are needed
                return rgb_pixels(image)

        uri = _uri("image", image)
        what = f"image: {public_uri(uri)}"
        with _asked_for("image"), fetch(uri, settings=self.sources) as file:
            if file.path.stat().st_size > _MAX_IMAGE_BYTES:
                raise QueryError(f"{what} has more than {_MAX_IMAGE_BYTES >> 20} MB")
            return self._decoded(file.path, what=what)

    def _decoded(self, file: Path | io.BytesIO, *, what: str) -> NDArray[np.uint8]:
        from vidsearch.media import rgb_pixels

        limit = self.sources.max_pixels
        with readable(what), opened_image(file, what=what) as opened:
            require_few_pixels(opened, limit, what=what, setting="sources.max_pixels")
            return rgb_pixels(opened)


def text_vectors(texts: Sequence[str], *, encoder: Encoder) -> list[QueryVector]:
    """The vectors of texts, made in one batch; with a warning where the model does not read all."""
    vectors = embedded_texts(encoder, texts)
    return [
        QueryVector(vector.tolist(), _truncation(text, encoder))
        for text, vector in zip(texts, vectors, strict=True)
    ]


def _truncation(text: str, encoder: Encoder) -> tuple[str, ...]:
    tokens, length = encoder.count_tokens(text), encoder.context_length
    if tokens <= length:
        return ()
    return (f"the text has {tokens} tokens, the model reads the first {length} only",)


def given_vector(vector: Any, *, dims: int) -> NDArray[np.float32]:
    """A vector of the caller, scaled to unit length: ``(dims,)`` float32.

    Raises:
        QueryError: not numbers, not as many as the index holds, not finite, or all zero.
    """
    try:
        values = np.asarray(vector, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise QueryError(f"vector must be a list of numbers: {error}") from error
    if values.shape != (dims,):
        what = f"{values.size} numbers" if values.ndim == 1 else f"the shape {values.shape}"
        raise QueryError(f"vector has {what}, but the vectors of the index have {dims}")
    if not np.isfinite(values).all():
        raise QueryError("vector holds a number that is not finite")
    norm = float(np.linalg.norm(values))
    if not 0 < norm < math.inf:
        raise QueryError("vector has no direction: all of it is zero, or it is too long")
    unit: NDArray[np.float32] = (values / norm).astype(np.float32)
    return unit


def stored_vector(
    source: Mapping[str, Any] | None, request: SearchRequest, *, kind: EngineKind, field: str
) -> list[float]:
    """The vector of the indexed video of ``like``, or of its segment at ``at`` seconds.

    Args:
        source: its document; ``None`` where there is none.
        request: has both.
        kind: of the engine, which may give base64 back.
        field: the vidsearch object of the document.

    Raises:
        QueryError: no such video, no vectors yet, or it is shorter.
    """
    id = request.like
    if source is None:
        raise QueryError(
            f"like: no video {id!r} in the index",
            known=f"; `vidsearch videos show {id}` tells whether it is registered, `vidsearch "
            "videos list` shows the ids",
        )
    stored = source.get(field) or {}
    vector = stored.get("vector")
    if vector is None:
        raise QueryError(
            f"like: video {id!r} has no vector yet",
            known=f"; `vidsearch videos show {id}` tells its state",
        )
    if request.at is not None:
        vector = _segment_at(request.at, stored.get("segments") or [], id=id)["vector"]
    numbers: list[float] = decode_vector(vector, BYTE_ORDERS[kind]).tolist()
    return numbers


def _segment_at(
    at: float, segments: Sequence[Mapping[str, Any]], *, id: str | None
) -> Mapping[str, Any]:
    """The segment that begins at the second; else the one that holds it, and of several the one
    whose middle is nearest.

    Where one segment ends, the next one begins, and moments are known by their start.
    """
    # Another program may have written some without one of the three.
    needed = ("start", "end", "vector")
    whole = [one for one in segments if all(one.get(name) is not None for name in needed)]
    if not whole:
        raise QueryError(
            f"like: video {id!r} has no segment with start, end and vector, so none at "
            f"{seconds_text(at)} s"
        )
    near = max(_ROUNDING, at * _ROUNDING_OF_ENGINES)
    end = max(float(one["end"]) for one in whole)
    if at > end + near:
        raise QueryError(
            f"like: video {id!r} ends at {seconds_text(end)} s, there is no segment at "
            f"{seconds_text(at)} s"
        )

    def fit(one: Mapping[str, Any]) -> tuple[bool, float, float]:
        start, end = float(one["start"]), float(one["end"])
        distance = max(start - at, at - end, 0.0)
        return abs(start - at) > near, distance, abs((start + end) / 2 - at)

    return min(whole, key=fit)


def _uri(name: str, value: Any) -> str:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, str) and value.strip():
        return value
    allowed = "a path or a URL" + (", bytes, a PIL image or an array" if name == "image" else "")
    raise QueryError(f"{name} must be {allowed}, not {type(value).__name__}")


@contextmanager
def _asked_for(name: str) -> Iterator[None]:
    """Turn errors of reading and encoding into errors of the query that name its argument."""
    try:
        yield
    except VideoError as error:
        raise QueryError(f"{name}: {error}") from error
    except SourceUnavailableError as error:
        raise SourceUnavailableError(f"{name}: {error}") from error
    except ModelUnavailableError as error:
        raise ModelUnavailableError(f"{name}: the model cannot embed it: {error}") from error
