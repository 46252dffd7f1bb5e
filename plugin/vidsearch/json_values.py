"""Plain JSON values of what results hold: dates, numpy's numbers, dataclasses, …"""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from dataclasses import fields, is_dataclass
from datetime import date, time
from enum import Enum
from typing import Any

__all__ = ["to_json_value"]


def to_json_value(value: Any) -> Any:
    """The value as ``json.dumps`` takes it.

    Dates and times become ISO text, numpy's numbers and arrays Python's, dataclasses objects. A
    number that JSON lacks, such as NaN, becomes ``None``, and what is none of these its text.
    """
    if isinstance(value, Enum):  # first: it may be a text or a number as well
        return to_json_value(value.value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None  # of numpy's float64, too
    if isinstance(value, (date, time)):  # and datetime, which is a date
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(to_json_value(key)): to_json_value(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, Set)):
        return [to_json_value(each) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json_value(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "tolist"):  # numpy's and torch's, without importing them
        return to_json_value(value.tolist())
    return str(value)
