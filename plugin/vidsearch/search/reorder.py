"""The steps that make hits differ: reads what that takes of the candidates, once."""

from __future__ import annotations

from typing import Any

from vidsearch.engines.calls import Calls
from vidsearch.engines.steps import Steps, Work
from vidsearch.errors import QueryError
from vidsearch.search.diversity import Collapsed, collapse_by_value, collapse_similar, mmr
from vidsearch.search.fusion import Scored
from vidsearch.search.live_index import IndexView
from vidsearch.search.live_mapping import find_field
from vidsearch.search.request import Asked
from vidsearch_mappings.candidates import fields_query
from vidsearch_mappings.queries import vector_path

__all__ = ["reorder"]

_NO_VALUES = frozenset({"object", "nested", "dense_vector", "knn_vector"})


def reorder(
    order: list[Scored], asked: Asked, view: IndexView, calls: Calls, *, window: int
) -> Steps[Collapsed]:
    """Collapse, then diversity, as far as they are asked for.

    Args:
        order: the ranking, best first; what lies beyond the window is left out.
        window: most candidates.

    Raises:
        QueryError: ``collapse`` names a field that has no values.
    """
    if not asked.reorders:
        return Collapsed(order)
    collapse, diversity = asked.collapse, asked.diversity or 0.0
    vectors_of = vector_path(view.field, level="video")
    fields = [vectors_of] if diversity or isinstance(collapse, (int, float)) else []
    if isinstance(collapse, str):
        fields.append(_checked(collapse, view))
    order = order[:window]
    if not order or not fields:
        return Collapsed(order)
    # The concrete index: the ids are its own, whatever the alias does meanwhile.
    body = fields_query(ids=[hit.id for hit in order], fields=fields)
    (response,) = yield from calls.msearch(view.name, [body])
    values: dict[str, dict[str, Any]] = {
        hit["_id"]: hit.get("fields", {}) for hit in response["hits"]["hits"]
    }
    vectors = {id: found[vectors_of] for id, found in values.items() if found.get(vectors_of)}

    def chosen() -> Collapsed:
        found = Collapsed(order)
        if isinstance(collapse, str):
            found = collapse_by_value(order, {id: one.get(collapse) for id, one in values.items()})
        elif collapse is not None:
            found = collapse_similar(order, vectors, threshold=collapse)
        kept = mmr(found.kept, vectors, diversity=diversity, count=asked.last)
        return Collapsed(kept, found.duplicates)

    # Of a large window that takes a while, which an event loop does not have.
    result: Collapsed = yield Work(chosen)
    return result


def _checked(name: str, view: IndexView) -> str:
    field = find_field(view.properties, name)
    if field is None:
        raise QueryError(f"collapse: there is no field {name!r} in index {view.name!r}")
    if field.nested is not None or field.type in _NO_VALUES:
        raise QueryError(f"collapse: field {name!r} is {field.type}, which has no value of a video")
    return name
