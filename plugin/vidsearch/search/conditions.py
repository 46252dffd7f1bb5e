"""Conditions as people type them, ``year>=2020``, as a filter of a search."""

from __future__ import annotations

import re
from typing import Any

from vidsearch.errors import QueryError

__all__ = ["parse_condition"]

# Blanks are stripped afterwards: beside a class that holds them, too, they take quadratic time.
_CONDITION = re.compile(r"(?P<field>[^=<>]+)(?P<sign>>=|<=|=|>|<)(?P<value>.*)", re.DOTALL)
_RANGES = {">=": "gte", "<=": "lte", ">": "gt", "<": "lt"}


def parse_condition(condition: str, *, what: str, forms: str = "") -> dict[str, Any]:
    """The item of a filter for ``tags=sport``, ``tags=a,b`` (either) or ``year>=2020``.

    Args:
        condition: as typed.
        what: what messages call it.
        forms: other forms that the caller takes, for the message.

    Raises:
        QueryError: it has none of these forms; the message shows them.
    """
    match = _CONDITION.fullmatch(condition.strip())
    if match is None or not match["value"].strip(", "):
        raise QueryError(
            f"{what} {condition!r} is no condition: write tags=sport, tags=a,b, year>=2020{forms}",
            argument="filter",
        )
    field, sign, value = match["field"].strip(), match["sign"], match["value"].strip()
    if sign != "=":
        return {field: {_RANGES[sign]: value}}
    values = [part.strip() for part in value.split(",") if part.strip()]
    return {field: values if len(values) > 1 else values[0]}
