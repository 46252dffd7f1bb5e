"""Calls about whole indices: their mappings, settings and aliases."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from vidsearch.engines.dialect import Dialect, quoted
from vidsearch.engines.errors import unavailable
from vidsearch.engines.steps import Request, Steps
from vidsearch.engines.types import Json
from vidsearch.errors import BackendError, BackendUnavailableError, IndexNotFoundError

__all__ = ["IndexCalls"]

_WRITES_SECONDS = 60.0
"""For which writes that are under way are waited for."""
_LOOKS_ALONE, _LOOKS_AT_ONCE, _LOOK_SECONDS = 3, 10, 0.02


class IndexCalls:
    """A part of :class:`~vidsearch.engines.calls.Calls`."""

    dialect: Dialect

    def create_index(self, name: str, body: Mapping[str, Any]) -> Steps[None]:
        yield from self.dialect.request("PUT", f"/{quoted(name)}", index=name, body=body)

    def delete_index(self, name: str) -> Steps[None]:
        # Asked first, because the engines differ in what they do with an alias, and because
        # OpenSearch takes a `*` in the name for what it is.
        if name not in (yield from self.indices_of(name)):
            raise IndexNotFoundError(f"there is no index {name!r} at {self.dialect.url}")
        yield from self.dialect.request("DELETE", f"/{quoted(name)}", index=name)

    def indices_of(self, name: str) -> Steps[tuple[str, ...]]:
        return tuple(sorted((yield from self._behind(name, "_alias"))))

    def mappings_behind(self, name: str) -> Steps[dict[str, Json]]:
        found = yield from self._behind(name, "_mapping")
        return {index: about["mappings"] for index, about in found.items()}

    def _behind(self, name: str, part: str) -> Steps[Json]:
        path = f"/{quoted(name)}/{part}"
        try:
            found: Json = (yield from self.dialect.request("GET", path, index=name)).body
        except IndexNotFoundError:
            return {}
        return found

    def indices_behind(self, names: Sequence[str]) -> Steps[dict[str, tuple[str, ...]]]:
        path = f"/{','.join(map(quoted, names))}/_alias"
        params = {"ignore_unavailable": "true"}
        try:
            found: Json = (yield from self.dialect.request("GET", path, params=params)).body
        except IndexNotFoundError:
            found = {}
        return {
            name: tuple(sorted(i for i, of in found.items() if name == i or name in of["aliases"]))
            for name in names
        }

    def mapping(self, index: str) -> Steps[Json]:
        mapping: Json = (yield from self._index(index, "/_mapping"))["mappings"]
        return mapping

    def put_mapping(self, index: str, body: Mapping[str, Any]) -> Steps[None]:
        path = f"/{quoted(index)}/_mapping"
        yield from self.dialect.request("PUT", path, index=index, body=body)

    def settings(self, index: str) -> Steps[Json]:
        settings: Json = (yield from self._index(index))["settings"]["index"]
        return settings

    def put_settings(self, index: str, settings: Mapping[str, Any]) -> Steps[None]:
        path, body = f"/{quoted(index)}/_settings", {"index": dict(settings)}
        yield from self.dialect.request("PUT", path, index=index, body=body)

    def aliases(self, index: str) -> Steps[Json]:
        aliases: Json = (yield from self._index(index))["aliases"]
        return aliases

    def _index(self, index: str, part: str = "") -> Steps[Json]:
        """What the cluster tells of the one index behind a name."""
        path = f"/{quoted(index)}{part}"
        found = (yield from self.dialect.request("GET", path, index=index)).body
        if len(found) != 1:
            names = ", ".join(sorted(found)) or "no index"
            raise BackendError(
                f"{index!r} at {self.dialect.url} stands for {names}, but one index is needed"
            )
        described: Json = next(iter(found.values()))
        return described

    def update_aliases(self, actions: Sequence[Mapping[str, Any]]) -> Steps[None]:
        yield from self.dialect.request("POST", "/_aliases", body={"actions": list(actions)})

    def refresh(self, index: str) -> Steps[None]:
        path = f"/{quoted(index)}/_refresh"
        answer = yield from self.dialect.request("POST", path, index=index)
        # It is a success all the same, and searches of that shard lack the last writes.
        self.dialect.require_all_shards(answer.body, index=index)

    def block_writes(self, index: str) -> Steps[None]:
        # The setting `blocks.write` alone lets through what has passed the check already. The
        # engines' own call waits for that, and is two changes of the cluster's state: that of
        # Elasticsearch takes three times as long. So what is under way is looked for among the
        # tasks, where these credentials may list them.
        if (yield from self._writes_under_way(index)) is None:
            yield from self.dialect.request("PUT", f"/{quoted(index)}/_block/write", index=index)
            return
        path, body = f"/{quoted(index)}/_settings", {"index": {"blocks.write": True}}
        answer = yield from self.dialect.request("PUT", path, index=index, body=body)
        if not answer.body.get("acknowledged"):
            raise BackendUnavailableError(
                f"not every node of {self.dialect.url} says that index {index!r} takes no writes"
            )
        left = yield from self._writes_under_way(index)
        deadline, looks = time.monotonic() + _WRITES_SECONDS, count(1)
        while left != frozenset():
            if left is None or time.monotonic() > deadline:
                why = "not every node tells" if left is None else f"after {_WRITES_SECONDS:g} s"
                raise BackendUnavailableError(
                    f"writes to index {index!r} at {self.dialect.url} may still be under way: {why}"
                )
            pause = 0.0
            if (look := next(looks)) > _LOOKS_ALONE:  # most take no longer
                yield from self.refresh(index)  # one may wait for that
            if look > _LOOKS_AT_ONCE:
                pause = _LOOK_SECONDS
            now = yield from self._writes_under_way(index, pause=pause)
            left = None if now is None else left & now  # those that came later are refused

    def _writes_under_way(self, index: str, *, pause: float = 0.0) -> Steps[frozenset[str] | None]:
        """The tasks that write to the shards of an index; ``None`` where they are not told."""
        params = {"actions": "indices:data/write/bulk*", "detailed": "true", "group_by": "none"}
        answer = yield from self.dialect.send(Request("GET", "/_tasks", params, pause=pause))
        if 400 <= answer.status < 500 and not unavailable(answer.status):  # 400, 403, 410, …
            return None
        found = self.dialect.require_success(answer).body
        if found.get("node_failures") or found.get("task_failures"):
            return None
        return frozenset(
            f"{task['node']}:{task['id']}"
            for task in found.get("tasks", ())
            if "[s]" in task["action"] and f"index[{index}][" in task.get("description", "")
        )
