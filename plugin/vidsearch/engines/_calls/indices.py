"""Indices, their mappings, settings and aliases, and how a write is kept from making one.

Both engines create a missing index at the first write, with a mapping that they guess: for an
update, too, and where a compare-and-set is lost or nothing is written at all (tried on
Elasticsearch 8.19.21 and 9.5.3 and on OpenSearch 2.19.1). ``require_alias`` forbids it, at no cost,
where the name is an alias; so what we write to most, the registry, stands behind one. For the name
of an index they have no such word, and the setting ``action.auto_create_index`` is the host's and
not ours: whether the index is there is asked before every write to it. The documents of videos are
written to an index and not to its alias, as a revision means nothing in the index that the alias
may be moved to meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from vidsearch.engines._calls.asking import Asking, Call, part
from vidsearch.engines.base import Json
from vidsearch.errors import BackendError, IndexNotFoundError

__all__ = ["IndexCalls"]


class IndexCalls(Asking):
    """What is done to an index as a whole, and whether there is one."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._aliases: set[str] = set()  # names that were aliases when they were last asked for

    def create_index(self, name: str, body: Mapping[str, Any]) -> Call[None]:
        yield from self.request("PUT", f"/{part(name)}", index=name, body=body)

    def delete_index(self, name: str) -> Call[None]:
        # Asked first, because the engines differ in what they do with an alias, and because
        # OpenSearch takes a `*` in the name for what it is.
        if name not in (yield from self.indices_of(name)):
            raise IndexNotFoundError(f"there is no index {name!r} at {self.url}")
        yield from self.request("DELETE", f"/{part(name)}", index=name)

    def indices_of(self, name: str) -> Call[tuple[str, ...]]:
        try:
            answer = yield from self.request("GET", f"/{part(name)}/_alias", index=name)
        except IndexNotFoundError:
            return ()
        return tuple(sorted(answer.body))

    def mapping(self, index: str) -> Call[Json]:
        found = (yield from self.request("GET", f"/{part(index)}/_mapping", index=index)).body
        if len(found) != 1:
            names = ", ".join(sorted(found)) or "no index"
            raise BackendError(f"{index!r} at {self.url} stands for {names}, not for one index")
        ((_, entry),) = found.items()
        mapping: Json = entry["mappings"]
        return mapping

    def put_mapping(self, index: str, body: Mapping[str, Any]) -> Call[None]:
        yield from self.request("PUT", f"/{part(index)}/_mapping", index=index, body=body)

    def settings(self, index: str) -> Call[Json]:
        settings: Json = (yield from self._described(index))["settings"]["index"]
        return settings

    def put_settings(self, index: str, settings: Mapping[str, Any]) -> Call[None]:
        body = {"index": dict(settings)}
        yield from self.request("PUT", f"/{part(index)}/_settings", index=index, body=body)

    def aliases(self, index: str) -> Call[Json]:
        aliases: Json = (yield from self._described(index))["aliases"]
        return aliases

    def _described(self, index: str) -> Call[Json]:
        found = (yield from self.request("GET", f"/{part(index)}", index=index)).body
        ((_, entry),) = found.items()
        described: Json = entry
        return described

    def update_aliases(self, actions: Sequence[Mapping[str, Any]]) -> Call[None]:
        yield from self.request("POST", "/_aliases", body={"actions": list(actions)})

    def refresh(self, index: str) -> Call[None]:
        yield from self.request("POST", f"/{part(index)}/_refresh", index=index)

    # -- writes to what exists

    def _existing(self, index: str) -> Call[dict[str, str]]:
        """Parameters for a write, which is let through only where there is an index for it."""
        if index not in self._aliases:
            names = yield from self.indices_of(index)
            if not names:
                raise IndexNotFoundError(f"there is no index or alias {index!r} at {self.url}")
            if index in names:
                return {}
            self._aliases.add(index)
        return {"require_alias": "true"}

    @contextmanager
    def _asking_anew_if_missing(self, index: str) -> Iterator[None]:
        """Around a write: what was an alias may be an index when it is there again."""
        try:
            yield
        except IndexNotFoundError:
            self._aliases.discard(index)
            raise
