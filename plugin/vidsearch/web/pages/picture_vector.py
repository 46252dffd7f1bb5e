"""The vector of a picture as a text that fits into a URL.

The address bar holds the picture itself, as far as a search needs it: nothing is kept on the
server, and the search survives a reload, a restart and being sent to somebody else. It ends with
the model: a vector of another one is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json

import numpy as np
from numpy.typing import NDArray

from vidsearch.encoders.identity import ModelIdentity
from vidsearch.errors import QueryError

__all__ = ["from_text", "to_text"]

_NUMBERS = np.dtype("<f2")
"""Half precision: a cosine differs by less than 0.001, and the URL is half as long."""
_TAG = 8
"""Letters that tell models apart."""


def to_text(vector: NDArray[np.float32], identity: ModelIdentity) -> str:
    """The text for a unit vector of a model, such as ``1f0c…`` and four letters for three numbers.

    Args:
        vector: ``(dims,)``.
        identity: of the model.
    """
    return _tag(identity) + base64.urlsafe_b64encode(vector.astype(_NUMBERS).tobytes()).decode()


def from_text(text: str, identity: ModelIdentity) -> NDArray[np.float32]:
    """The vector in a text: ``(dims,)``.

    Raises:
        QueryError: it is none, or of another model than that of the index.
    """
    tag, rest = text[:_TAG], text[_TAG:]
    if tag != _tag(identity):
        raise QueryError(
            "the picture of this search was embedded with another model than the one that the "
            "index has now: give the picture again",
            argument="vector",
        )
    try:
        halves = np.frombuffer(base64.b64decode(rest, altchars=b"-_", validate=True), _NUMBERS)
        vector: NDArray[np.float32] = halves.astype(np.float32)
    except (binascii.Error, ValueError) as error:
        raise _cut_off() from error
    if vector.shape != (identity.dims,):
        raise _cut_off()
    return vector


def _cut_off() -> QueryError:
    message = "the picture of this search is not whole, as its address was cut off: give it again"
    return QueryError(message, argument="vector")


def _tag(identity: ModelIdentity) -> str:
    compared = json.dumps(identity.compared(), sort_keys=True)
    return hashlib.sha256(compared.encode()).hexdigest()[:_TAG]
