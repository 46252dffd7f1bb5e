"""Whether an encoder tells pictures apart, found out before its first vector is stored.

Weights that were not loaded, a half precision that overflows or a wrong stub give vectors of the
right shape that say nothing: every search would find every video.
"""

from __future__ import annotations

from contextlib import suppress
from weakref import WeakValueDictionary

import numpy as np

from vidsearch.encoders.base import Encoder, Vectors
from vidsearch.encoders.output import checked_vectors, embedded_frames, embedded_texts
from vidsearch.errors import EncoderError, ModelUnavailableError
from vidsearch.media.frames import FrameBatch

__all__ = ["require_sound", "sound_frames"]

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
    if _is_known(encoder):
        return
    pictures = _numbers(encoder, _pictures())
    _refuse_same(encoder, pictures)
    if encoder.identity.name == _SHIPPED:
        matches = embedded_texts(encoder, _TEXTS) @ pictures.T
        if not matches.diagonal().min() > matches[::-1].diagonal().max():
            raise ModelUnavailableError(
                f"{_where(encoder)} matches texts with the wrong pictures: the checkpoint that is "
                "shipped is damaged; install vidsearch again"
            )
    _know(encoder)


def sound_frames(encoder: Encoder, frames: FrameBatch) -> Vectors:
    """As :func:`embedded_frames`, by an encoder that is sound as :func:`require_sound` has it.

    Frames whose vectors differ show that it is, and cost nothing more. Where they are all the same,
    as in a still scene, one of the two pictures must differ from them.

    Raises:
        ModelUnavailableError: as :func:`require_sound`.
        EncoderError, ModelMismatchError: as :func:`embedded_frames`.
    """
    if encoder.identity.name == _SHIPPED:
        require_sound(encoder)
    if _is_known(encoder) or not len(frames):
        return embedded_frames(encoder, frames)
    try:
        vectors = embedded_frames(encoder, frames)
    except EncoderError:
        require_sound(encoder)  # whether the model is at fault, or it is these frames
        raise
    if not _differ(vectors):
        found = vectors[:1]
        for picture in _pictures().data:
            one = FrameBatch(picture[None], np.zeros(1))
            found = np.concatenate([found, _numbers(encoder, one)])
            if _differ(found):
                break
        else:
            _refuse_same(encoder, found[1:])
    _know(encoder)
    return vectors


def _is_known(encoder: Encoder) -> bool:
    return _sound.get(id(encoder)) is encoder


def _know(encoder: Encoder) -> None:
    with suppress(TypeError):  # one that cannot be referred to weakly is probed each time
        _sound[id(encoder)] = encoder


def _numbers(encoder: Encoder, frames: FrameBatch) -> Vectors:
    found = encoder.encode_frames(frames)
    if isinstance(found, np.ndarray) and found.dtype.kind == "f" and np.isnan(found).all():
        raise ModelUnavailableError(
            f"{_where(encoder)} gives no numbers for pictures (NaN), so nothing is stored. Check "
            "the weights in model.name, and model.precision: a model in half precision may overflow"
        )
    return checked_vectors(found, encoder, len(frames), "frame")


def _differ(vectors: Vectors) -> bool:
    """Whether any differs from the first."""
    return bool((vectors @ vectors[0]).min() <= _SAME)


def _refuse_same(encoder: Encoder, pictures: Vectors) -> None:
    if not _differ(pictures):
        raise ModelUnavailableError(
            f"{_where(encoder)} gives a red circle and a blue square the same vector (cosine "
            f"{float(pictures[0] @ pictures[1]):.6f}): nothing that it embeds could be told apart, "
            "so nothing is stored. Check the weights in model.name, and model.precision"
        )


def _where(encoder: Encoder) -> str:
    return f"encoder {encoder.identity.name!r} ({type(encoder).__name__})"


def _pictures() -> FrameBatch:
    """A red circle on black, and a blue square on white."""
    y, x = np.mgrid[:_SIDE, :_SIDE] - _SIDE / 2 + 0.5
    data = np.zeros((2, _SIDE, _SIDE, 3), np.uint8)
    data[0][x**2 + y**2 < (0.22 * _SIDE) ** 2] = (235, 20, 20)
    data[1][:] = 248
    data[1][np.maximum(abs(x), abs(y)) < 0.2 * _SIDE] = (20, 20, 235)
    return FrameBatch(data, np.arange(2, dtype=np.float64))
