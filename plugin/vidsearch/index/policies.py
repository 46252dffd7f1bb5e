"""The lifecycle policy of an index: Elasticsearch's ILM, or OpenSearch's ISM.

ILM keeps it in the settings of the index. ISM keeps it in an index of its own, and has an API for
it, which is absent where its plugin is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vidsearch.engines import Engine, Json
from vidsearch.engines.calls import Calls
from vidsearch.engines.dialect import quoted
from vidsearch.engines.steps import Request, Steps
from vidsearch.errors import MappingConflictError

__all__ = ["Policy", "put_policy", "policy_of"]

_ISM = "/_plugins/_ism"
_NO_HANDLER = {400, 404, 405}
"""What a node answers without the plugin: "no handler found for uri"."""
_ISM_ID = "index.plugins.index_state_management.policy_id"


@dataclass(frozen=True, slots=True)
class Policy:
    """What a cluster does with an index as it gets older."""

    name: str
    by: Literal["ILM", "ISM"]

    def __str__(self) -> str:
        return f"{self.name} ({self.by})"


def policy_of(engine: Engine, index: str, settings: Mapping[str, Any]) -> Policy | None:
    """The policy of an index, ``None`` where it has none.

    Args:
        engine: the cluster.
        index: concrete index.
        settings: of it, as dotted names below ``index``.

    Raises:
        BackendAccessDeniedError: no right to ask the plugin (`cluster:admin/opendistro/ism/*`).
    """
    if name := settings.get("lifecycle.name"):
        return Policy(str(name), "ILM")
    if engine.kind == "opensearch" and (name := engine.run(_explained(engine.calls, index))):
        return Policy(name, "ISM")
    return None


def put_policy(engine: Engine, index: str, policy: Policy | None) -> None:
    """Have ISM manage an index. Safe to repeat; that of ILM comes with the settings.

    Raises:
        MappingConflictError: the plugin does not take it, as where a template has given the index
            another policy.
    """
    if policy is None or policy.by != "ISM":
        return
    if engine.run(_explained(engine.calls, index)) != policy.name:
        engine.run(_added(engine.calls, index, policy.name))


def _explained(calls: Calls, index: str) -> Steps[str | None]:
    """The id of the policy that ISM manages an index by."""
    answer = yield from calls.dialect.send(Request("GET", f"{_ISM}/explain/{quoted(index)}"))
    if answer.status in _NO_HANDLER:
        return None
    said: Json = calls.dialect.require_success(answer, index=index).body.get(index) or {}
    name: str | None = said.get("policy_id") or said.get(_ISM_ID)
    return name


def _added(calls: Calls, index: str, name: str) -> Steps[None]:
    path = f"{_ISM}/add/{quoted(index)}"
    answer = yield from calls.dialect.request("POST", path, index=index, body={"policy_id": name})
    if answer.body.get("failures"):
        failed = answer.body.get("failed_indices") or [{}]
        raise MappingConflictError(
            f"index {index!r} does not get the ISM policy {name!r}: "
            f"{failed[0].get('reason', 'no reason was given')}"
        )
