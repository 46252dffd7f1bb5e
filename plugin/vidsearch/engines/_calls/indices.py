"""Indices, their mappings, settings and aliases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vidsearch.engines._calls.asking import Asking, Call, part
from vidsearch.engines.base import Json
from vidsearch.errors import BackendError, IndexMissing

__all__ = ["IndexCalls"]


class IndexCalls(Asking):
    """What is done to an index as a whole, and whether there is one."""

    def create_index(self, name: str, body: Mapping[str, Any]) -> Call[None]:
        yield from self.request("PUT", f"/{part(name)}", index=name, body=body)

    def delete_index(self, name: str) -> Call[None]:
        # Asked first, because the engines differ in what they do with an alias, and because
        # OpenSearch takes a `*` in the name for what it is.
        if name not in (yield from self.indices_of(name)):
            raise IndexMissing(f"there is no index {name!r} at {self.url}")
        yield from self.request("DELETE", f"/{part(name)}", index=name)

    def indices_of(self, name: str) -> Call[tuple[str, ...]]:
        try:
            answer = yield from self.request("GET", f"/{part(name)}/_alias", index=name)
        except IndexMissing:
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

    def _existing(self, index: str) -> Call[dict[str, str]]:
        """Parameters for a write, which is let through only where there is an index for it.

        The engines create a missing index at the first write. `require_alias` forbids that where
        the name is an alias; for an index they have no such word.
        """
        names = yield from self.indices_of(index)
        if not names:
            raise IndexMissing(f"there is no index or alias {index!r} at {self.url}")
        return {} if index in names else {"require_alias": "true"}
