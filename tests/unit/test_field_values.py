"""Numbers that a mapping would change."""

from __future__ import annotations

from typing import Any

import pytest

from vidsearch.errors import DocumentRejectedError
from vidsearch.ingest.field_values import refuse_changed_numbers

PROPERTIES = {
    "year": {"type": "long"},
    "size": {"type": "double"},
    "name": {"type": "keyword"},
    "camera": {"properties": {"fov": {"type": "integer"}}},
    "shots": {"type": "nested", "properties": {"n": {"type": "short"}}},
}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"year": 4.5}, "field 'year' is mapped as 'long', which would cut 4.5 to 4"),
        ({"year": [1, 2.5]}, "'year'.*2.5"),
        ({"year": "4.5"}, "'year'.*4.5"),
        ({"camera": {"fov": 90.5}}, r"'camera\.fov'.*90\.5"),
        ({"camera.fov": 90.5}, r"'camera\.fov'.*90\.5"),
        ({"shots": [{"n": 1}, {"n": 0.5}]}, r"'shots\.n'.*0\.5"),
        ({"size": 2**53 + 1}, "'size' is a `double`, which cannot keep 9007199254740993 exactly"),
        ({"new": -(2**70)}, "'new'.*-1180591620717411303424"),
    ],
)
def test_number_that_would_change_is_refused_with_its_field(
    fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(DocumentRejectedError, match=said):
        refuse_changed_numbers(fields, PROPERTIES)


def test_numbers_that_are_kept_are_taken() -> None:
    refuse_changed_numbers(
        {
            "year": [2024, 2024.0, "2024", 2**60, "n/a", None, True],
            "size": [4, 4.5, 2**53, 1e300],
            "name": [2**60, 4.5],
            "new": {"a": 1.5, "b": [{"c": 2}]},
            "camera": {"fov": 90, "other": 1.5},
        },
        PROPERTIES,
    )
