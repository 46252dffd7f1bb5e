"""The encoder of processes without torch, such as a web process or a worker on a CPU."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.encoders.base import Encoder, Vectors
from vidsearch.encoders.identity import ModelIdentity
from vidsearch.encoders.onnx.layout import PRECISIONS, Export, Precision, Tower, read_export
from vidsearch.encoders.onnx.sessions import TowerSession, load_tokenizer
from vidsearch.errors import ConfigError, ModelUnavailableError
from vidsearch.media.frames import FrameBatch, Sampling
from vidsearch.media.pixels import clip_pixels
from vidsearch.metrics import timed
from vidsearch.once import build_once

__all__ = ["OnnxEncoder", "VectorCache"]

_LONGEST = 1000
"""Characters of a text whose vector is kept."""


class OnnxEncoder(Encoder):
    """An export of ``vidsearch model export`` as an :class:`~vidsearch.encoders.base.Encoder`.

    Needs onnxruntime and tokenizers (extra ``query``), and Pillow for frames. Building one costs
    nothing; the tokenizer and each tower are loaded when first needed, so a process that only
    searches never loads the image tower. Its identity is that of the checkpoint which was
    exported, its own precision noted: an index of the one takes vectors of the other.

    Every text is computed at its own length where the tower reads texts so, and in int8 every text
    and frame by itself, as onnxruntime scales the numbers of a whole batch by its largest: a vector
    does not depend on what else was asked for.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        precision: str = "auto",
        threads: int = 1,
        batch_size: int = 16,
        cache_size: int = 1024,
        rate: float = 1.0,
        sampling: Sampling = "played-at",
    ) -> None:
        """
        Args:
            folder: made by ``vidsearch model export``.
            precision: ``fp32``, ``int8``, or ``auto``: fp32 where the export holds it.
            threads: per tower and call.
            batch_size: maximum number of frames or texts per call of onnxruntime.
            cache_size: texts whose vectors are kept, 2 KB each; 0 keeps none.
            rate: frames per second that videos are sampled at; part of the identity.
            sampling: how those frames are chosen; part of it as well.

        Raises:
            ConfigError: no such precision.
        """
        if precision not in ("auto", *PRECISIONS):
            raise ConfigError(
                f"an ONNX export has no precision {precision!r}; set VIDSEARCH_MODEL__PRECISION to "
                f"'auto', {' or '.join(map(repr, PRECISIONS))}"
            )
        self._folder = Path(folder).expanduser()
        self._precision = precision
        self._threads = threads
        self._batch_size = batch_size
        self._rate = rate
        self._sampling: Sampling = sampling
        self._cache = VectorCache(cache_size)

    def __repr__(self) -> str:
        return f"OnnxEncoder({str(self._folder)!r})"

    @build_once
    def export(self) -> Export:
        """What its folder holds.

        Raises:
            ModelUnavailableError: no export there, or one of another version.
        """
        return read_export(self._folder)

    @property
    def precision(self) -> Precision:
        """The numbers it computes with.

        Raises:
            ModelUnavailableError: the export does not hold the one that was asked for.
        """
        held = self.export.towers
        for precision in PRECISIONS:
            if precision in held and self._precision in ("auto", precision):
                return precision
        raise ModelUnavailableError(
            f"the export {str(self._folder)!r} holds {' and '.join(held) or 'nothing'}, not "
            f"{self._precision}; set VIDSEARCH_MODEL__PRECISION to what it holds, or export again"
        )

    @property
    def identity(self) -> ModelIdentity:
        """See :class:`~vidsearch.encoders.base.Encoder`. Loads no weights."""
        return self.export.identity(
            rate=self._rate, sampling=self._sampling, precision=self.precision
        )

    @property
    def context_length(self) -> int:
        return self.export.texts.context_length

    def count_tokens(self, text: str) -> int:
        return len(self._ids(text))

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        known = {text: vector for text in texts if (vector := self._cache.get(text)) is not None}
        for part, ids in self._by_length(
            [text for text in dict.fromkeys(texts) if text not in known]
        ):
            for text, vector in zip(part, self._text_session(ids), strict=True):
                known[text] = vector
                self._cache.put(text, vector)
        return self._rows([known[text][np.newaxis] for text in texts])

    def encode_frames(self, frames: FrameBatch) -> Vectors:
        session, recipe, step = self._vision_session, self.export.pixels, self._step

        def embed(part: Any) -> Vectors:
            with timed("preprocess"):
                pixels = clip_pixels(part, recipe)
            return session(pixels)

        steps = range(0, len(frames), step)
        return self._rows([embed(frames.data[start : start + step]) for start in steps])

    @property
    def _step(self) -> int:
        return self._batch_size if self.precision == "fp32" else 1

    def _rows(self, parts: list[Vectors]) -> Vectors:
        return np.concatenate([np.empty((0, self.identity.dims), dtype=np.float32), *parts])

    def _by_length(self, texts: Sequence[str]) -> Iterator[tuple[list[str], NDArray[np.int64]]]:
        groups: dict[int, list[tuple[str, list[int]]]] = {}
        for text in texts:
            ids = self.export.texts.row(self._ids(text))
            groups.setdefault(len(ids), []).append((text, ids))
        for group in groups.values():
            for start in range(0, len(group), self._step):
                part, ids_of_part = zip(*group[start : start + self._step], strict=True)
                yield list(part), np.array(ids_of_part, dtype=np.int64)

    def _ids(self, text: str) -> list[int]:
        return self.export.texts.ids(self._tokenizer, text)

    @build_once
    def _tokenizer(self) -> Any:
        return load_tokenizer(self.export)

    @build_once
    def _text_session(self) -> TowerSession:
        return self._session("text")

    @build_once
    def _vision_session(self) -> TowerSession:
        return self._session("vision")

    def _session(self, tower: Tower) -> TowerSession:
        return TowerSession.of(self.export, tower, precision=self.precision, threads=self._threads)


class VectorCache:
    """The vectors of the ``size`` texts used last, as users repeat queries. Thread-safe.

    A text of more than 1000 characters is not kept, so that memory is bounded by the number of
    entries.
    """

    def __init__(self, size: int) -> None:
        if size < 0:
            raise ValueError(f"a cache cannot hold {size} vectors")
        self._size = size
        self._lock = threading.Lock()
        self._vectors: OrderedDict[str, Vectors] = OrderedDict()

    def __len__(self) -> int:
        return len(self._vectors)

    def get(self, text: str) -> Vectors | None:
        """Its vector, read-only, or ``None``."""
        with self._lock:
            found = self._vectors.get(text)
            if found is not None:
                self._vectors.move_to_end(text)
            return found

    def put(self, text: str, vector: Vectors) -> None:
        """Keep a copy of a vector; the one used longest ago makes room."""
        if not self._size or len(text) > _LONGEST:
            return
        kept = vector.copy()
        kept.flags.writeable = False
        with self._lock:
            self._vectors[text] = kept
            self._vectors.move_to_end(text)
            while len(self._vectors) > self._size:
                self._vectors.popitem(last=False)
