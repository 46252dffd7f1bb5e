"""Changes of an index found without the numbers of its writes.

Where the engine does not tell those, or these credentials may not ask for them: by a field of the
documents that says when they changed, or by their version numbers. A delete leaves no trace then,
so all ids are compared, which costs what is there and not what has changed; once before writes
wait, and once while they do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from vidsearch.engines import Document, Engine, Json, routing_of
from vidsearch.errors import MappingConflictError
from vidsearch.index.copy_documents import batches_by_id
from vidsearch.index.following import IDS, Follower, Pass
from vidsearch.index.point_in_time import place_of

__all__ = ["CompareVersions", "FollowField", "greatest", "require_changed_field"]

_MARGIN = 60_000
"""Milliseconds, or what a number counts: a document may be written later than another one with a
greater value."""


class CompareVersions(Follower):
    """Follows by the version number of each document.

    What vidsearch writes into a document leaves its number as it is; its fingerprint tells that.
    A document that was deleted, and written anew when the engine had forgotten its number (a minute
    later), may have the same number again, and is then taken for what it was.
    """

    @property
    def since(self) -> Mapping[str, int]:
        """Nothing is needed: all documents are compared."""
        return {}

    def _bring(self, *, last: bool) -> tuple[int, int]:
        self._engine.refresh(self._source)
        written, deleted = self._compare()
        return written + self._create(), deleted

    def _compare(self) -> tuple[int, int]:
        """Of the documents of the copy: delete those that the index does not have any more, and
        bring those that differ."""
        self._engine.refresh(self._target)
        written = deleted = 0
        there = self._engine.scan(self._target, source=self._marks, page_size=IDS)
        for batch in batches_by_id(there, IDS):
            self._interrupted()
            given = self._engine.mget(
                self._source,
                [one.id for one in batch],
                routing=routing_of(batch),
                source=self._marks,
            )
            places = set(map(place_of, given.values()))
            deleted += self._delete(one for one in batch if place_of(one) not in places)
            changed = [
                given[one.id]
                for one in batch
                if one.id in given and self._differs(given[one.id], one)
            ]
            written += self._copy(changed)
        return written, deleted

    def _create(self) -> int:
        """Bring the documents that the copy does not have."""
        written = 0
        given = self._engine.scan(self._source, source=False, page_size=IDS)
        for batch in batches_by_id(given, IDS):
            self._interrupted()
            copied = self._engine.mget(
                self._target, [one.id for one in batch], routing=routing_of(batch), source=False
            )
            written += self._copy([one for one in batch if one.id not in copied])
        return written

    def _copy(self, documents: Iterable[Document]) -> int:
        """Bring documents as they are now; those that are gone are left to the next pass."""
        written = 0
        for rest in batches_by_id(documents, IDS):
            while rest:
                self._interrupted()
                batch, rest = rest[: self._page], rest[self._page :]
                ids = [one.id for one in batch]
                found = [*self._engine.mget(self._source, ids, routing=routing_of(batch)).values()]
                self._fit_page(found)
                self._put(found)
                written += len(found)
        return written

    def _differs(self, given: Document, there: Document) -> bool:
        # With another routing it may be where the other one is deleted.
        of_given, of_there = ((one.version, one.source, one.routing) for one in (given, there))
        return of_given != of_there

    @property
    def _marks(self) -> list[str] | bool:
        """What tells that vidsearch wrote a document."""
        if self._without is None:
            return False
        return [f"{self._without}.{name}" for name in ("fingerprint", "embedded_at")]


class FollowField(CompareVersions):
    """Follows by a field in which the application says when a document changed.

    Args:
        field: a date, or a number that grows; every document has it.
        since: what :attr:`since` was when an earlier one was made, before the copy; ``None``: now.
    """

    def __init__(
        self,
        engine: Engine,
        source: str,
        target: str,
        *,
        field: str,
        since: Mapping[str, int] | None = None,
        without: str | None = None,
        alias: str | None = None,
    ) -> None:
        super().__init__(engine, source, target, without=without, alias=alias)
        self._field = field
        self._is_date = _definition(engine, source, field).get("type") != "long"
        self._until = greatest(engine, source, field) if since is None else since.get(field)
        self._since = {} if self._until is None else {field: self._until}
        self._compared = False

    @property
    def since(self) -> Mapping[str, int]:
        """The greatest value of the field."""
        return self._since

    def until_small(self) -> Pass:
        """See :meth:`Follower.until_small`. All ids are compared once before."""
        if not self._compared:
            self.run(last=True)
            self._compared = True
        return super().until_small()

    def _bring(self, *, last: bool) -> tuple[int, int]:
        self._engine.refresh(self._source)
        until = greatest(self._engine, self._source, self._field)
        written = sum(map(self._brought, batches_by_id(self._changed(), IDS)))
        self._until = until
        if not last:
            return written, 0
        # A value may be late, or less than that of a document whose date is in the future.
        more, deleted = self._compare()
        if self._engine.count(self._source) != self._count_documents():
            more += self._create()
        return written + more, deleted

    def _changed(self) -> Iterator[Document]:
        """With nothing of their sources but the field."""
        query: Json | None = None
        if self._until is not None:
            bounds: Json = {"gte": self._until - _MARGIN}
            if self._is_date:
                bounds["format"] = "epoch_millis"
            query = {"range": {self._field: bounds}}
        return self._engine.scan(self._source, query=query, source=[self._field], page_size=IDS)

    def _brought(self, batch: list[Document]) -> int:
        """Bring those of them that the copy does not have as they are."""
        self._interrupted()
        there = self._engine.mget(
            self._target, [one.id for one in batch], routing=routing_of(batch), source=[self._field]
        )
        changed = [
            one
            for one in batch
            if one.id not in there
            or there[one.id].version != one.version
            or _of(there[one.id].source, self._field) != _of(one.source, self._field)
        ]
        return self._copy(changed)


def greatest(engine: Engine, index: str, field: str) -> int | None:
    """The greatest value of a field, of a date in milliseconds; ``None`` where there is none."""
    answer = engine.search(index, {"size": 0, "aggs": {"last": {"max": {"field": field}}}})
    value = answer["aggregations"]["last"]["value"]
    return None if value is None else int(value)


def require_changed_field(engine: Engine, index: str, field: str) -> None:
    """Refuse a field by which not every change would be found.

    Raises:
        MappingConflictError: it is no date or number, is not indexed, or a document lacks it.
    """
    where = f"--changed-field: field {field!r} of index {index!r}"
    definition = _definition(engine, index, field)
    if definition.get("type") not in {"date", "date_nanos", "long"}:
        raise MappingConflictError(
            f"{where} is {definition.get('type') or 'not mapped'}: name a field of type date or "
            "long that your application sets at every change of a document"
        )
    if any(definition.get(name) in {False, "false"} for name in ("index", "doc_values")):
        raise MappingConflictError(f"{where} is not indexed, or not in doc values: name another")
    lacking = engine.count(index, {"bool": {"must_not": [{"exists": {"field": field}}]}})
    if lacking:
        raise MappingConflictError(
            f"{where} is missing in {lacking} documents, whose changes would not be found: fill "
            "it in, or do without --changed-field"
        )


def _definition(engine: Engine, index: str, field: str) -> Mapping[str, Any]:
    """Of a field in the mapping; empty where there is none."""
    found: Mapping[str, Any] = engine.mapping(index)
    for name in field.split("."):
        found = (found.get("properties") or {}).get(name) or {}
    return found


def _of(source: Mapping[str, Any], path: str) -> Any:
    value: Any = source
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
