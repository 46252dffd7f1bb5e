"""JSON of documents whose vectors are arrays, and arrays out of what an engine gives back."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import orjson

from vidsearch_mappings.types import EngineKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "BYTE_ORDERS",
    "ByteOrder",
    "decode_vector",
    "encode_vector",
    "holds_arrays",
    "to_json",
]

ByteOrder = Literal["big", "little"]
BYTE_ORDERS: Mapping[EngineKind, ByteOrder] = {"elasticsearch": "big", "opensearch": "little"}
"""How each engine reads and gives base64 vectors, where it takes any."""
_FORMAT = {"big": ">f4", "little": "<f4"}
_PLAIN = frozenset({str, int, bool, type(None)})
"""Types of values that are neither arrays nor hold any, and are always finite."""


def encode_vector(vector: NDArray[Any], order: ByteOrder) -> str:
    """Base64 of the float32 values, ``(dims,)``, in that byte order."""
    return base64.b64encode(vector.astype(_FORMAT[order], copy=False).tobytes()).decode("ascii")


def decode_vector(stored: Any, order: ByteOrder) -> NDArray[Any]:
    """A stored vector as ``(dims,)`` float32, bit for bit.

    Args:
        stored: numbers, or base64: also alone in a list, as Elasticsearch gives it in ``fields``.
        order: of base64, see :data:`BYTE_ORDERS`.
    """
    import numpy as np

    if isinstance(stored, list) and len(stored) == 1 and isinstance(stored[0], str):
        (stored,) = stored
    if isinstance(stored, str):
        return np.frombuffer(base64.b64decode(stored), dtype=_FORMAT[order]).astype(np.float32)
    return np.asarray(stored, dtype=np.float32)


def to_json(value: Any, order: ByteOrder | None = None) -> bytes:
    """JSON of a document.

    Args:
        value: what JSON takes, dates, and numpy arrays wherever a vector belongs.
        order: of base64 vectors, ``None`` for arrays of numbers. The numbers are the shortest that
            read back as the same float32.

    Raises:
        TypeError: a value that has no JSON, a number that is not finite among them.
    """
    _require_finite(value)  # orjson would write null
    option = None if order else orjson.OPT_SERIALIZE_NUMPY
    return orjson.dumps(value, default=partial(_default, order=order), option=option)


def holds_arrays(value: Any) -> bool:
    """Whether there is a numpy array anywhere in it."""
    if type(value) in _PLAIN:
        return False
    if isinstance(value, Mapping):
        return any(map(holds_arrays, value.values()))
    if isinstance(value, list | tuple):
        # Vectors are long lists of numbers; whether there is an array is seen from the first.
        return bool(value) and (
            holds_arrays(value[0])
            if isinstance(value[0], int | float | str)
            else any(map(holds_arrays, value))
        )
    return _is_array(value)


def _require_finite(value: Any) -> None:
    if isinstance(value, float):
        finite = math.isfinite(value)
    elif isinstance(value, Mapping):
        return _require_all_finite(value.values())
    elif isinstance(value, list | tuple):
        if value and type(value[0]) is float and _has_finite_sum(value):  # a vector, mostly
            return None
        return _require_all_finite(value)
    elif _is_array(value) and value.dtype.kind == "f":
        import numpy as np

        finite = bool(np.isfinite(value).all())
    else:
        return None
    if not finite:
        raise TypeError("NaN and infinity have no JSON")
    return None


def _require_all_finite(values: Iterable[Any]) -> None:
    for value in values:
        if type(value) not in _PLAIN:
            _require_finite(value)


def _has_finite_sum(numbers: Iterable[Any]) -> bool:
    """Whether all are finite numbers, as their sum tells many times as fast as a look at each;
    ``False`` where it cannot tell: they may be finite and their sum too large."""
    try:
        return math.isfinite(sum(numbers))
    except (TypeError, OverflowError):  # something other than numbers is among them
        return False


def _is_array(value: Any) -> bool:
    return hasattr(value, "__array_interface__")


def _default(value: Any, *, order: ByteOrder | None) -> Any:
    """What orjson does not know by itself; the engines' clients write these as well."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return dict(value)
    if _is_array(value):
        if order and value.ndim == 1 and value.dtype.kind == "f":
            return encode_vector(value, order)
        return value.tolist()  # not contiguous, of another type, or a scalar
    raise TypeError(f"a {type(value).__name__} has no JSON")
