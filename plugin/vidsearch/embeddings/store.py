"""What was embedded once, kept by content: a file is decoded and encoded once per model.

Under the hash of a file's bytes, there is:

- ``frames-<model>-<from>-<to>.npz``: the times of the sampled frames of a time range, and the unit
  vectors of the pictures that they show, for one identity of a model, which names the sampling;
- ``facts-<reading>.json``: what else was read of the file: subtitles, cuts, the keys of thumbnails.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from vidsearch.embeddings.frame_vectors import FrameVectors
from vidsearch.errors import VidsearchError
from vidsearch.media.file_store import FileStore, StoredFile

if TYPE_CHECKING:
    from vidsearch.config import Settings
    from vidsearch.encoders import ModelIdentity
    from vidsearch.engines import Engine

__all__ = ["EmbeddingStore", "Files", "content_of", "unused_files"]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_READING = 2
"""Part of every key. To be raised when the decoders give other frames or times than before."""
_FORMAT = 2
_CONTENT = re.compile(r"[0-9a-f]{2}/([0-9a-f]{64})/[^/]+")


class Files(Protocol):
    """Files under keys. :class:`FileStore` and :class:`IndexFiles` are such."""

    @property
    def shown(self) -> str:
        """Where the files are, for messages; without a password."""

    def read(self, key: str) -> bytes | None:
        """The file, or ``None`` where there is none, or not the whole of it."""

    def read_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Some files, by their keys; those of which there is none, or not the whole, are left out.

        Small ones take one request, where the place has one for several files.
        """

    def write(self, key: str, data: bytes) -> None:
        """Keep a file under a key, in place of one that is there."""

    def files(self) -> Iterator[StoredFile]:
        """What is kept, in no order."""

    def remove(self, keys: Iterable[str]) -> None:
        """Remove files; one that is gone already is none of the others' matter."""


class EmbeddingStore:
    """Vectors of frames and facts of files, by the hash of the files' bytes.

    It saves work and holds nothing that cannot be made again. So a file that is damaged counts as
    absent, and where the store does not answer, videos are embedded without it: the log says so.

    Args:
        files: where it is kept.
        precision: of the vectors. ``fp16`` takes half the space; the cosine of a vector with
            itself in fp32 is above 0.9999998.
    """

    def __init__(self, files: Files, *, precision: Literal["fp16", "fp32"] = "fp16") -> None:
        self._files = files
        self._dtype = np.float16 if precision == "fp16" else np.float32

    @classmethod
    def of(cls, settings: Settings, engine: Engine) -> EmbeddingStore | None:
        """The store that the section ``embeddings`` asks for; ``None`` where it is off."""
        from vidsearch.embeddings.index_files import IndexFiles

        section = settings.embeddings
        if not section.keep:
            return None
        if section.url is not None:
            return cls(
                FileStore(section.url, setting="embeddings.url"), precision=section.precision
            )
        return cls(IndexFiles(engine, settings.index), precision=section.precision)

    def __repr__(self) -> str:
        return f"EmbeddingStore({self._files.shown!r}, {np.dtype(self._dtype).name})"

    @property
    def shown(self) -> str:
        """Where it is kept, for messages."""
        return self._files.shown

    def frames(
        self,
        content: str,
        model: ModelIdentity,
        *,
        start: float = 0.0,
        stop: float | None = None,
        required: bool = False,
    ) -> FrameVectors | None:
        """The frames of a time range as they were kept; ``None`` where they were not.

        Args:
            content: hash of the file's bytes.
            model: whose vectors they are.
            start: of the range, in seconds.
            stop: of the range, in seconds; ``None`` for the end of the video.

        Raises:
            VidsearchError: the store did not answer, and ``required`` is true.
        """
        key = _frames_key(content, model, start, stop)
        read = partial(self._files.read, key)
        return self._frames_in(read() if required else self._tried(read), key, model)

    def whole(
        self, content: str, model: ModelIdentity
    ) -> tuple[FrameVectors | None, dict[str, dict[str, Any]]]:
        """The frames of the whole video, as :meth:`frames` gives them, and the facts of the file,
        as :meth:`facts` gives them; read at once."""
        frames, facts = _frames_key(content, model, 0.0, None), _facts_key(content)
        found = self._tried(lambda: self._files.read_many([frames, facts])) or {}
        return (
            self._frames_in(found.get(frames), frames, model),
            self._facts_in(found.get(facts), facts),
        )

    def _frames_in(self, data: bytes | None, key: str, model: ModelIdentity) -> FrameVectors | None:
        if data is None:
            return None
        try:
            return _unpacked(data, dims=model.dims)
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            _log.warning("%s of %s is damaged and made again: %s", key, self.shown, error)
            return None

    def keep_frames(
        self,
        content: str,
        model: ModelIdentity,
        frames: FrameVectors,
        *,
        start: float = 0.0,
        stop: float | None = None,
        required: bool = False,
    ) -> FrameVectors:
        """Keep the frames of a time range.

        Returns them as a reading of the store gives them, so that a video gets the same vectors
        whether it was embedded or read.

        Raises:
            VidsearchError: the store did not answer, and ``required`` is true.
        """
        data, key = _packed(frames, self._dtype), _frames_key(content, model, start, stop)
        if required:
            self._files.write(key, data)
        else:
            self._tried(lambda: self._files.write(key, data))
        return _unpacked(data, dims=model.dims)

    def facts(self, content: str) -> dict[str, dict[str, Any]]:
        """The facts of a file, by kind and key, as :meth:`keep_facts` kept them."""
        key = _facts_key(content)
        return self._facts_in(self._tried(lambda: self._files.read(key)), key)

    def _facts_in(self, data: bytes | None, key: str) -> dict[str, dict[str, Any]]:
        if data is None:
            return {}
        try:
            facts = json.loads(data)
        except ValueError:
            facts = None
        if not isinstance(facts, dict) or not all(isinstance(v, dict) for v in facts.values()):
            _log.warning("%s of %s is damaged and made again", key, self.shown)
            return {}
        return facts

    def keep_facts(self, content: str, facts: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep all facts of a file, as JSON.

        Two writers at once may lose one of their facts, which is then read from the file again.
        """
        data = json.dumps(facts).encode()
        self._tried(lambda: self._files.write(_facts_key(content), data))

    def files(self) -> Iterator[StoredFile]:
        """What is kept, in no order; files of other names are passed over.

        Raises:
            VidsearchError: the store did not answer.
        """
        return (file for file in self._files.files() if content_of(file.key) is not None)

    def remove(self, keys: Iterable[str]) -> None:
        """Remove files of the store.

        Raises:
            VidsearchError: the store did not answer; some may be removed.
        """
        self._files.remove(keys)

    def _tried(self, call: Callable[[], _T]) -> _T | None:
        try:
            return call()
        except VidsearchError as error:
            _log.warning("going on without the embedding store: %s", error)
            return None


def unused_files(files: Iterable[StoredFile], contents: Set[bytes]) -> list[StoredFile]:
    """Those files of the store that are of other contents; ``contents`` are hashes of 32 bytes."""
    return [file for file in files if bytes.fromhex(content_of(file.key) or "") not in contents]


def content_of(key: str) -> str | None:
    """The hash of the bytes that a file of the store belongs to; ``None`` for other files."""
    match = _CONTENT.fullmatch(key)
    return match[1] if match else None


def _key(content: str, name: str) -> str:
    return f"{content[:2]}/{content}/{name}"


def _facts_key(content: str) -> str:
    return _key(content, f"facts-{_READING}.json")


def _frames_key(content: str, model: ModelIdentity, start: float, stop: float | None) -> str:
    parts = json.dumps([_READING, model.compared()], sort_keys=True)
    digest = hashlib.sha256(parts.encode()).hexdigest()[:16]
    end = "end" if stop is None else f"{stop:.3f}"
    return _key(content, f"frames-{digest}-{start:.3f}-{end}.npz")


def _unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
    exact = vectors.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    return (exact / np.where(lengths, lengths, 1)).astype(np.float32)


def _packed(frames: FrameVectors, dtype: type[np.floating[Any]]) -> bytes:
    about = {
        "format": _FORMAT,
        "end_seconds": frames.end_seconds,
        "damaged": frames.damaged,
        "points": frames.points,
        "width": frames.width,
        "height": frames.height,
        "begin_seconds": frames.begin_seconds,
    }
    file = io.BytesIO()
    np.savez(
        file,
        about=np.frombuffer(json.dumps(about).encode(), np.uint8),
        pts_seconds=frames.pts_seconds,
        vectors=frames.vectors.astype(dtype),
        repeats=frames.repeats,
    )
    return file.getvalue()


def _unpacked(data: bytes, *, dims: int) -> FrameVectors:
    """Raises ValueError and others where a byte is wrong: a zip file has a checksum per member."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        about: Mapping[str, Any] = json.loads(arrays["about"].tobytes())
        vectors, times, repeats = (arrays[name] for name in ("vectors", "pts_seconds", "repeats"))
    if about["format"] != _FORMAT:
        raise ValueError(f"format {about['format']}")
    if vectors.shape[1:] != (dims,) or not np.isfinite(vectors).all():
        raise ValueError(f"no vectors of {dims} dims")
    known = ("end_seconds", "damaged", "points", "width", "height", "begin_seconds")
    return FrameVectors(
        pts_seconds=times,
        vectors=_unit(vectors),
        repeats=repeats,
        **{name: about[name] for name in known},
    )
