"""What a request says of a facet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)

from vidsearch.errors import QueryError
from vidsearch.json_values import quoted

__all__ = ["MAX_FACETS", "Facet", "Period"]

MAX_FACETS = 20
"""Facets of one search."""
Period = Literal["year", "month", "day", "hour"]
"""What dates are counted by, in UTC."""

_EXPECTED = {
    "field": "the name of a field",
    "size": "a whole number from 1 to 1000",
    "order": "count or value",
    "interval": "a number from 0.000001 on, or year, month, day or hour",
    "own_filter": "true or false",
}


class Facet(BaseModel):
    """A field whose values are counted over the hits of a search.

    Raises:
        QueryError: an argument is wrong.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    field: str = Field(
        min_length=1,
        description="Field of the videos: keyword, text with a keyword subfield, boolean, number, "
        "date or IP address.",
    )
    size: int = Field(10, ge=1, le=1000, description="Maximum number of values.")
    order: Literal["count", "value"] = Field(
        "count", description="``count``: most frequent values first; ``value``: ascending."
    )
    interval: Period | Annotated[float, Field(ge=1e-6, allow_inf_nan=False)] | None = Field(
        None,
        description="Width of the buckets of numbers, which else are values of their own; of dates "
        "``year`` (default), ``month``, ``day`` or ``hour``.",
    )
    own_filter: bool = Field(
        True,
        description="Whether a condition of ``filter`` on this field holds for its counts. Without "
        "it they are those of a search without that condition.",
    )

    @model_validator(mode="wrap")
    @classmethod
    def _raise_query_error(cls, data: Any, handler: ModelWrapValidatorHandler[Facet]) -> Facet:
        if isinstance(data, Mapping):  # here, as each of them would be an error of its own
            for name in data:
                if name not in _EXPECTED:
                    message = f"a facet has {', '.join(_EXPECTED)}, not {quoted(name)}"
                    raise QueryError(f"facets: {message}", argument="facets")
        try:
            return handler(data)
        except ValidationError as error:
            if not isinstance(data, Mapping):
                raise  # a request takes the name of a field instead, and says so
            problem = error.errors(include_url=False)[0]
            name = str(problem["loc"][0])
            if problem["type"] == "missing":
                message = f"a facet needs {name}, {_EXPECTED[name]}"
            else:
                message = f"{name} of a facet must be {_EXPECTED[name]}, not {quoted(data[name])}"
            raise QueryError(f"facets: {message}", argument="facets") from error
