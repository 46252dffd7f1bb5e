"""Pictures that were encoded a moment ago, so that they are not encoded again.

A still picture or a slide that is held for minutes decodes to a few pictures that come again and
again: each group of pictures begins with a key frame, which the frames after it refine. A loop, a
title card and the slices of one film share pictures as well.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from vidsearch.encoders import Encoder, Vectors, sound_frames
from vidsearch.media import FrameBatch

__all__ = ["KnownPictures"]

_MOST = 512
"""Pictures that are known; 1 MiB of vectors of 512 dims."""


class KnownPictures:
    """The vectors of the last pictures of one encoder, by the SHA-256 of all pixels. Thread-safe.

    Pictures that differ in one pixel are two: what is found is what the encoder would give.
    """

    def __init__(self) -> None:
        self._vectors: OrderedDict[bytes, NDArray[np.float32]] = OrderedDict()
        self._lock = Lock()

    def encode(self, encoder: Encoder, batch: FrameBatch) -> Vectors:
        """The vector of each picture, shape ``(n, dims)``; only new pictures are encoded.

        Args and errors are those of :func:`~vidsearch.encoders.sound_frames`.
        """
        digests = [_digest(picture) for picture in batch.data]
        known = self._known(digests)
        new: dict[bytes, int] = {}
        for at, digest in enumerate(digests):
            if digest not in known:
                new.setdefault(digest, at)
        if not new:
            return np.stack([known[digest] for digest in digests])
        is_part = len(new) < len(batch)
        vectors = sound_frames(encoder, batch.only([*new.values()]) if is_part else batch)
        made = dict(zip(new, vectors, strict=True))
        self._remember(made)
        known |= made
        return np.stack([known[digest] for digest in digests]) if is_part else vectors

    def _known(self, digests: list[bytes]) -> dict[bytes, NDArray[np.float32]]:
        with self._lock:
            found = {each: self._vectors[each] for each in digests if each in self._vectors}
            for digest in found:
                self._vectors.move_to_end(digest)
        return found

    def _remember(self, vectors: dict[bytes, NDArray[np.float32]]) -> None:
        with self._lock:
            self._vectors |= vectors
            while len(self._vectors) > _MOST:
                self._vectors.popitem(last=False)


def _digest(picture: NDArray[np.uint8]) -> bytes:
    digest = hashlib.sha256(repr(picture.shape).encode())
    digest.update(np.ascontiguousarray(picture).data)
    return digest.digest()
