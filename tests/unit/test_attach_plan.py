"""What `index attach` and `reindex` would do to an index of the user, and what a copy keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner

from vidsearch.cli.index import index
from vidsearch.config import IndexSettings
from vidsearch.engines import EngineKind
from vidsearch.engines.creation import create_index_as_asked
from vidsearch.engines.steps import Answer, Request, Steps, run
from vidsearch.errors import (
    BackendAccessDeniedError,
    BackendUnavailableError,
    MappingConflictError,
)
from vidsearch.index import attach_index, detach_index, plan_attachment
from vidsearch.index.copy_note import CopyNote, leave_note
from vidsearch.index.kept import kept_of
from vidsearch.index.policies import Policy, policy_of, put_policy
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_mappings.diff import flattened

IDENTITY = FakeEncoder().identity
SETTINGS = IndexSettings(name="shop", replicas=0)
OWN = {
    "number_of_shards": "2",
    "number_of_replicas": "1",
    "refresh_interval": "5s",
    "creation_date": "1700000000000",
    "uuid": "abc",
    "version": {"created": "9"},
    "remote_store": {
        "enabled": "true",
        "segment": {"repository": "s3"},
        "translog": {"repository": "s3", "buffer_interval": "1s"},
    },
    "verified_read_only": "true",
    "routing": {"allocation": {"initial_recovery": {"_id": "node"}, "require": {"box": "hot"}}},
    "analysis": {"analyzer": {"words": {"type": "custom", "filter": ["lowercase"]}}},
    "default_pipeline": "mine",
    "final_pipeline": "last",
    "lifecycle": {"name": "old-go"},
}
ALIASES = {"shop": {}, "some": {"filter": {"term": {"n": 1}}, "is_hidden": True}}


@pytest.fixture
def engine() -> MemoryEngine:
    engine = MemoryEngine()
    properties = {
        "url": {"type": "keyword"},
        "title": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
        "maker": {"properties": {"name": {"type": "text"}}},
    }
    body = {"settings": {"index": OWN}, "mappings": {"properties": properties}}
    engine.create_index("shop-1", {**body, "aliases": ALIASES})
    return engine


def test_a_copy_keeps_what_is_the_users_and_not_what_is_of_one_index(engine: MemoryEngine) -> None:
    kept = kept_of(engine, "shop-1", without=["some"])
    assert kept.settings.keys() == {
        *("number_of_shards", "number_of_replicas", "refresh_interval"),
        *("analysis.analyzer.words.type", "analysis.analyzer.words.filter"),
        *("default_pipeline", "final_pipeline", "lifecycle.name", "lifecycle.origination_date"),
        *("routing.allocation.require.box", "remote_store.translog.buffer_interval"),
    }
    assert kept.analysis == ("analyzer words",)
    assert (kept.fields, kept.aliases.keys()) == (5, {"shop"})
    assert kept.pipelines == {"default_pipeline": "mine", "final_pipeline": "last"}
    assert kept.policy == Policy("old-go", "ILM")


def test_a_copy_runs_no_pipeline_and_has_no_policy_while_it_is_filled(engine: MemoryEngine) -> None:
    kept = kept_of(engine, "shop-1")
    filled = kept.at_creation()
    assert (filled["default_pipeline"], filled["final_pipeline"]) == ("_none", "_none")
    assert not [name for name in filled if name.startswith("lifecycle.")]
    # By the age of the documents, and not by that of the copy.
    assert kept.before_swap() == {
        "default_pipeline": "mine",
        "gc_deletes": None,
        "lifecycle.name": "old-go",
        "lifecycle.origination_date": "1700000000000",
    }
    assert kept.at_swap() == {"final_pipeline": "last"}


def test_an_index_without_pipelines_gets_none_from_its_copy() -> None:
    engine = MemoryEngine()
    engine.create_index("shop-1", {})
    kept = kept_of(engine, "shop-1")
    assert kept.before_swap() == dict.fromkeys(("default_pipeline", "final_pipeline", "gc_deletes"))
    assert kept.at_swap() == {}


def test_plan_of_an_index_that_takes_the_object_is_in_place(engine: MemoryEngine) -> None:
    before = engine.mapping("shop-1"), engine.settings("shop-1")
    plan = plan_attachment(engine, SETTINGS, IDENTITY, uri_field="url")
    assert (plan.index, plan.way, plan.copy, plan.cost) == ("shop-1", "in place", None, None)
    assert plan.problems == ()
    assert (engine.mapping("shop-1"), engine.settings("shop-1")) == before
    assert engine.indices_of(SETTINGS.registry) == ()


def test_plan_of_an_index_that_cannot_be_attached_is_refused_as_attaching_is(
    engine: MemoryEngine,
) -> None:
    with pytest.raises(MappingConflictError, match=r"'nothing'.* is not mapped"):
        plan_attachment(engine, SETTINGS, IDENTITY, uri_field="nothing")
    attach_index(engine, SETTINGS, IDENTITY, uri_field="url")
    with pytest.raises(MappingConflictError, match="attached already"):
        plan_attachment(engine, SETTINGS, IDENTITY, uri_field="url")


@pytest.fixture
def lacking(engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch) -> MemoryEngine:
    """As on OpenSearch without index.knn."""
    monkeypatch.setattr(
        "vidsearch.index.attachment.lacking_settings", lambda body, live: {"knn": True}
    )
    for number in range(3):
        engine.put("shop-1", f"{number}", {"url": "/a.mp4"})
    return engine


def test_plan_of_an_index_that_is_copied_says_what_that_takes(lacking: MemoryEngine) -> None:
    plan = plan_attachment(lacking, SETTINGS, IDENTITY, uri_field="url")
    assert (plan.way, plan.copy, plan.lacking) == ("copy", "shop-1-vidsearch", {"knn": True})
    assert plan.cost is not None
    assert (plan.cost.documents, plan.cost.bytes) == (3, None)  # which is not known in memory
    assert plan.cost.seconds is not None
    assert 0 < plan.cost.blocked_seconds <= 6.0
    assert plan.problems == ()
    assert lacking.indices_of("shop-1-vidsearch") == ()


def test_plan_of_a_copy_under_another_name_keeps_no_alias(lacking: MemoryEngine) -> None:
    by_name = SETTINGS.model_copy(update={"name": "shop-1"})
    plan = plan_attachment(lacking, by_name, IDENTITY, uri_field="url", copy_to="shop-2")
    assert plan.kept.aliases == {}
    (stay,) = [one for one in plan.kept.lost if "aliases" in one]
    assert "stay with 'shop-1', which takes no more writes ('shop', 'some')" in stay


def test_a_copy_that_cannot_be_noted_in_the_registry_is_attached_all_the_same(
    lacking: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: object) -> None:
        raise BackendUnavailableError("the node is away")

    monkeypatch.setattr("vidsearch.index.attach._KEEP_SECONDS", 0.0)
    monkeypatch.setattr("vidsearch.index.attach.keep_attachment", away)
    attached = attach_index(lacking, SETTINGS, IDENTITY, uri_field="url")
    assert lacking.indices_of(attached.name) == ("shop-1-vidsearch",)
    assert attached.problem is not None
    assert "the next `vidsearch scan` does that (the node is away)" in attached.problem


def test_a_detached_object_of_vectors_with_other_dims_is_refused_with_a_way_out(
    engine: MemoryEngine,
) -> None:
    attach_index(engine, SETTINGS, IDENTITY, uri_field="url")
    detach_index(engine, SETTINGS)
    wider = replace(IDENTITY, name="wider", dims=2 * IDENTITY.dims)
    for plan in (plan_attachment, attach_index):
        with pytest.raises(MappingConflictError, match=r"set index\.field to .* such as 'video2'"):
            plan(engine, SETTINGS, wider, uri_field="url")
    other = SETTINGS.model_copy(update={"field": "video2"})
    attach_index(engine, other, wider, uri_field="url")
    detach_index(engine, other)
    attach_index(engine, SETTINGS, IDENTITY, uri_field="url")  # the same model fits what is left


class Strict(MemoryEngine):
    """Lets nobody give one setting, as an engine newer than this release may."""

    def create_index(self, name: str, body: Mapping[str, Any]) -> None:
        if "verified.twice" in flattened(body.get("settings", {}).get("index", {})):
            raise MappingConflictError(
                "rejected: private index setting [index.verified.twice] can not be set explicitly"
            )
        super().create_index(name, body)


def test_a_setting_that_the_engine_alone_gives_is_left_out_of_a_new_index(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = Strict()
    wanted = {"verified": {"twice": "true"}, "number_of_replicas": 0}
    body = {"settings": {"index": wanted}, "mappings": {}}
    create_index_as_asked(engine, "videos-1", body, advice="none", user_fields=True)
    assert engine.settings("videos-1")["number_of_replicas"] == 0
    assert "does not get ['verified.twice']: only the engine sets that" in caplog.text


def test_attach_says_what_speaks_against_a_copy_also_where_it_does_not_ask(
    lacking: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ("the target may need 200 bytes of disk, and 150 are free on the data nodes",)
    shards = ("the cluster will refuse the target",)
    monkeypatch.setattr("vidsearch.index.attachment.lacking_space", lambda *sizes: small)
    monkeypatch.setattr("vidsearch.index.attachment.lacking_shards", lambda *of, **each: shards)
    monkeypatch.setattr("vidsearch.cli.index._connect", lambda settings: lacking)
    monkeypatch.setattr("vidsearch.cli.index._identity", lambda settings: IDENTITY)
    args = ["attach", "shop", "--uri-field", "url", "--yes"]
    result = CliRunner().invoke(index, args)
    assert result.exit_code == 0, result.output
    for problem in (*small, *shards):
        assert f"note: {problem}" in result.output
    assert lacking.indices_of("shop") == ("shop-1-vidsearch",)


def test_plan_says_what_has_to_be_mended_first(lacking: MemoryEngine) -> None:
    by_name = SETTINGS.model_copy(update={"name": "shop-1"})
    leave_note(lacking, "shop-1", CopyNote(to="gone", run="r"))
    plan = plan_attachment(lacking, by_name, IDENTITY, uri_field="url")
    broken, own_name = plan.problems
    assert "to 'gone' broke off" in broken
    assert "an index cannot be renamed" in own_name


# What OpenSearch's index-state-management plugin answers, as its manual has it.
MANAGED = {
    "shop-1": {
        "index.plugins.index_state_management.policy_id": "old-go",
        "index.opendistro.index_state_management.policy_id": "old-go",
        "index": "shop-1",
        "index_uuid": "gCFlS_zcTdih8xyxf3jQ-A",
        "policy_id": "old-go",
        "enabled": True,
    },
    "total_managed_indices": 1,
}
UNMANAGED = {
    "shop-1": {
        "index.plugins.index_state_management.policy_id": None,
        "index.opendistro.index_state_management.policy_id": None,
        "enabled": None,
    },
    "total_managed_indices": 0,
}
ABSENT = {"error": "no handler found for uri [/_plugins/_ism/explain/shop-1] and method [GET]"}
ADDED = {"updated_indices": 1, "failures": False, "failed_indices": []}
REFUSED = {
    "updated_indices": 0,
    "failures": True,
    "failed_indices": [
        {"index_name": "shop-1", "index_uuid": "x", "reason": "This index already has a policy"}
    ],
}


class Recorded:
    """An OpenSearch that gives recorded answers, by method."""

    kind: EngineKind = "opensearch"

    def __init__(self, **answers: Answer) -> None:
        from vidsearch.engines.calls import Calls
        from vidsearch.engines.opensearch import OpenSearchDialect

        self.calls = Calls(OpenSearchDialect("http://there"))
        self.answers = answers
        self.sent: list[Request] = []

    def run(self, steps: Steps[Any]) -> Any:
        def send(request: Request) -> Answer:
            self.sent.append(request)
            return self.answers[request.method]

        return run(steps, send)


@pytest.mark.parametrize(
    ("status", "body", "policy"),
    [
        (200, MANAGED, Policy("old-go", "ISM")),
        (200, UNMANAGED, None),
        (200, {"total_managed_indices": 0}, None),
        (400, ABSENT, None),
    ],
)
def test_policy_of_ism_is_asked_of_its_plugin(
    status: int, body: Mapping[str, Any], policy: Policy | None
) -> None:
    engine: Any = Recorded(GET=Answer(status, body))
    assert policy_of(engine, "shop-1", {}) == policy
    assert [one.path for one in engine.sent] == ["/_plugins/_ism/explain/shop-1"]


@pytest.mark.parametrize(
    ("status", "error"), [(403, BackendAccessDeniedError), (503, BackendUnavailableError)]
)
def test_policy_that_may_not_be_asked_is_not_taken_for_none(
    status: int, error: type[Exception]
) -> None:
    engine: Any = Recorded(GET=Answer(status, {"error": {"type": "x", "reason": "no"}}))
    with pytest.raises(error):
        policy_of(engine, "shop-1", {})


def test_policy_of_ism_is_added_to_the_copy_once() -> None:
    policy = Policy("old-go", "ISM")
    engine: Any = Recorded(GET=Answer(200, UNMANAGED), POST=Answer(200, ADDED))
    put_policy(engine, "shop-1", policy)
    assert [one.method for one in engine.sent] == ["GET", "POST"]
    assert (engine.sent[1].path, engine.sent[1].body) == (
        "/_plugins/_ism/add/shop-1",
        b'{"policy_id":"old-go"}',
    )
    there: Any = Recorded(GET=Answer(200, MANAGED))
    put_policy(there, "shop-1", policy)
    assert len(there.sent) == 1


def test_policy_that_the_plugin_refuses_is_an_error_with_its_reason() -> None:
    engine: Any = Recorded(GET=Answer(200, UNMANAGED), POST=Answer(200, REFUSED))
    with pytest.raises(MappingConflictError, match=r"'old-go'.*already has a policy"):
        put_policy(engine, "shop-1", Policy("old-go", "ISM"))


@pytest.mark.parametrize("policy", [None, Policy("old-go", "ILM")])
def test_policy_of_ilm_needs_no_request_of_its_own(policy: Policy | None) -> None:
    engine: Any = Recorded()
    put_policy(engine, "shop-1", policy)
    assert engine.sent == []


def _denied(index: str) -> Callable[..., Any]:
    def deny(*args: Any) -> Any:
        raise BackendAccessDeniedError(f"no right to {index}")

    return deny


def test_policy_that_may_not_be_asked_is_said_not_to_be_known(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidsearch.index.kept.policy_of", _denied("shop-1"))
    kept = kept_of(engine, "shop-1")
    assert kept.policy is None
    assert "not known to these credentials" in kept.lost[0]
