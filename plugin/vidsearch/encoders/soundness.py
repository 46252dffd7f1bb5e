"""Whether an encoder tells pictures apart, found out before its first vector is stored.

Weights that were not loaded, a half precision that overflows or a wrong stub give vectors of the
right shape that say nothing: every search would find every video.
"""

from __future__ import annotations

from contextlib import suppress
from weakref import WeakValueDictionary

import numpy as np

from vidsearch.encoders.base import Encoder
from vidsearch.encoders.output import checked_vectors, embedded_texts
from vidsearch.errors import ModelUnavailableError
from vidsearch.media.frames import FrameBatch

__all__ = ["require_sound"]

_SIDE = 64
_SAME = 0.9999
"""Cosine above which two vectors are one."""
_SHIPPED = "demo"
_TEXTS = ("a large red circle on a black background", "a large blue square on a white background")
_sound: WeakValueDictionary[int, Encoder] = WeakValueDictionary()
"""By ``id``, those that have been found sound in this process."""


def require_sound(encoder: Encoder) -> None:
    """Embed two pictures that nobody would mix up; once per encoder and process.

    Of the checkpoint that is shipped, the texts that describe them must match them, too.

    Raises:
        ModelUnavailableError: both have the same vector, or none.
        EncoderError, ModelMismatchError: as :func:`embedded_frames`.
    """
    if _sound.get(id(encoder)) is encoder:
        return
    frames = _pictures()
    found = encoder.encode_frames(frames)
    where = f"encoder {encoder.identity.name!r} ({type(encoder).__name__})"
    if isinstance(found, np.ndarray) and found.dtype.kind == "f" and np.isnan(found).all():
        raise ModelUnavailableError(
            f"{where} gives no numbers for pictures (NaN), so nothing is stored. Check the weights "
            "in model.name, and model.precision: a model in half precision may overflow"
        )
    pictures = checked_vectors(found, encoder, len(frames), "frame")
    cosine = float(pictures[0] @ pictures[1])
    if cosine > _SAME:
        raise ModelUnavailableError(
            f"{where} gives a red circle and a blue square the same vector (cosine {cosine:.6f}): "
            "nothing that it embeds could be told apart, so nothing is stored. Check the weights "
            "in model.name, and model.precision"
        )
    if encoder.identity.name == _SHIPPED:
        matches = embedded_texts(encoder, _TEXTS) @ pictures.T
        if not matches.diagonal().min() > matches[::-1].diagonal().max():
            raise ModelUnavailableError(
                f"{where} matches texts with the wrong pictures: the checkpoint that is shipped is "
                "damaged; install vidsearch again"
            )
    with suppress(TypeError):  # one that cannot be referred to weakly is probed each time
        _sound[id(encoder)] = encoder


def _pictures() -> FrameBatch:
    """A red circle on black, and a blue square on white."""
    y, x = np.mgrid[:_SIDE, :_SIDE] - _SIDE / 2 + 0.5
    data = np.zeros((2, _SIDE, _SIDE, 3), np.uint8)
    data[0][x**2 + y**2 < (0.22 * _SIDE) ** 2] = (235, 20, 20)
    data[1][:] = 248
    data[1][np.maximum(abs(x), abs(y)) < 0.2 * _SIDE] = (20, 20, 235)
    return FrameBatch(data, np.arange(2, dtype=np.float64))
