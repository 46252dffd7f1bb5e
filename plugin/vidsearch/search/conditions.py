"""Conditions as people type them, ``year>=2020``, as a filter of a search."""

from __future__ import annotations

import json
import re
from typing import Any

from vidsearch.errors import QueryError

__all__ = ["parse_condition"]

# Blanks are stripped afterwards: beside a class that holds them, too, they take quadratic time.
_CONDITION = re.compile(r"(?P<field>[^=<>]+)(?P<sign>>=|<=|==?|>|<)(?P<value>.*)", re.DOTALL)
_RANGES = {">=": "gte", "<=": "lte", ">": "gt", "<": "lt"}
_FORMS = "tags=sport, tags=a,b, year>=2020"


def parse_condition(condition: str, *, what: str, takes_json: bool = False) -> dict[str, Any]:
    """The item of a filter for ``tags=sport``, ``tags=a,b`` (either) or ``year>=2020``.

    ``==`` is the same as ``=``.

    Args:
        condition: as typed.
        what: what messages call it.
        takes_json: whether the caller takes a JSON clause, too, for messages.

    Raises:
        QueryError: it has none of these forms; the message shows them.
    """
    condition = condition.strip()
    match = _CONDITION.fullmatch(condition)
    if match is None or not match["field"].strip("! ") or not match["value"].strip(", "):
        others = " or a JSON clause" if takes_json else ""
        raise QueryError(
            f"{what} {condition!r} is no condition: write {_FORMS}{others}", argument="filter"
        )
    field, sign, value = match["field"].strip(), match["sign"], match["value"].strip()
    if sign in _RANGES:
        return {field: {_RANGES[sign]: value}}
    values = [part.strip() for part in value.split(",") if part.strip()]
    if field.endswith("!"):
        clause = {"bool": {"must_not": {"terms": {field[:-1].strip(): values}}}}
        as_json = (
            f"of a text by its .keyword, a JSON clause, {json.dumps(clause, ensure_ascii=False)}"
        )
        way = as_json if takes_json else _FORMS
        raise QueryError(
            f"{what} {condition!r}: a condition says what is to be found, without !=: write {way}",
            argument="filter",
        )
    return {field: values if len(values) > 1 else values[0]}
