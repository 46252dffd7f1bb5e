"""``vidsearch index`` and ``vidsearch check`` on each real node."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from tests.integration.worker import Worker, until
from tests.registry_layouts import unversioned_layout
from tests.services import call

from vidsearch.cli import main
from vidsearch.config import EngineSettings
from vidsearch.engines import connect
from vidsearch.local import SearchNode

pytestmark = pytest.mark.integration


class Admin:
    """Runs commands in this process, with the settings of one index in the environment."""

    def __init__(
        self,
        capsys: pytest.CaptureFixture[str],
        patch: pytest.MonkeyPatch,
        env: dict[str, str],
        node: SearchNode,
    ) -> None:
        self._capsys = capsys
        self.env = env
        self.node = node
        for name, value in env.items():
            patch.setenv(name, value)

    def __call__(self, *args: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(args)
        out, err = self._capsys.readouterr()
        assert isinstance(stop.value.code, int)
        return stop.value.code, out, err

    def findings(self) -> tuple[int, dict[str, tuple[bool, str]]]:
        code, out, _ = self("check", "--json")
        return code, {each["part"]: (each["ok"], each["detail"]) for each in json.loads(out)}


@pytest.fixture
def admin(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    search_node: SearchNode,
    redis_url: str,
    index_name: str,
) -> Admin:
    env = {
        "VIDSEARCH_ENGINE__URL": search_node.url,
        "VIDSEARCH_INDEX__NAME": index_name,
        "VIDSEARCH_MODEL__NAME": "demo",
        "VIDSEARCH_BROKER__URL": redis_url,
        "VIDSEARCH_BROKER__QUEUE": f"q-{index_name}",
    }
    return Admin(capsys, monkeypatch, env, search_node)


def test_upgrade_adds_what_an_older_registry_lacks(admin: Admin, index_name: str) -> None:
    engine = connect(EngineSettings(url=admin.node.url))
    registry = f"vidsearch-{index_name}-registry"
    engine.create_index(registry, unversioned_layout(without=("damaged",)))
    code, _, err = admin("index", "create")
    assert code == 0
    assert "has the older version 0 and lacks " in err
    assert "damaged" in err
    assert "run `vidsearch index upgrade`" in err
    code, _, err = admin("index", "create")
    assert code == 1
    assert "run `vidsearch index upgrade`" in err
    code, _, err = admin("index", "upgrade")
    assert code == 0
    assert f"upgraded registry {registry} from version 0: added " in err
    assert "damaged" in engine.mapping(registry)["properties"]
    code, _, err = admin("index", "upgrade")
    assert code == 0
    assert "nothing is to be upgraded" in err
    assert admin("index", "drop", "--yes")[0] == 0
    code, _, err = admin("index", "upgrade")
    assert code == 1
    assert "vidsearch index create" in err
    engine.close()


def test_index_is_created_shown_and_dropped(
    admin: Admin, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert admin("index", "create")[0] == 0
    code, out, _ = admin("index", "show", "--json")
    assert code == 0
    shown = json.loads(out)
    assert shown["alias"] == index_name
    assert shown["index"] == f"{index_name}-000001"
    assert (shown["videos"], shown["registered"]) == (0, 0)
    assert shown["quantization"] == "int8"
    assert shown["model"]["name"] == "demo"
    assert shown["model"]["dims"] == 512

    # The live mapping says so too, and its vector options are explicit.
    mapping = call(admin.node.url, "GET", f"/{index_name}/_mapping")[shown["index"]]["mappings"]
    assert mapping["_meta"]["vidsearch"]["model"] == shown["model"]
    assert mapping["properties"]["video"]["dynamic"] == "strict"

    # Without --yes it asks, and an answer of no keeps everything.
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    code, out, err = admin("index", "drop")
    assert code != 0
    assert f"Drop {index_name}-000001 with 0 videos, and the registry, from " in out + err
    assert admin("index", "show")[0] == 0

    code, out, err = admin("index", "drop", "--yes")
    assert (code, out) == (0, "")
    assert err == f"dropped {index_name}-000001, vidsearch-{index_name}-registry-000001\n"
    left = call(admin.node.url, "GET", f"/_cat/indices/{index_name}*?format=json")
    assert left == []
    code, _, err = admin("index", "drop", "--yes")
    assert code == 1
    assert err == f"Error: there is no index {index_name!r} to drop\n"


def test_index_of_another_origin_is_not_dropped(admin: Admin, index_name: str) -> None:
    call(admin.node.url, "PUT", f"/{index_name}", {"mappings": {"properties": {}}})
    code, _, err = admin("index", "drop", "--yes")
    assert code == 1
    assert "was not made by vidsearch" in err
    assert call(admin.node.url, "GET", f"/_cat/indices/{index_name}?format=json")


@pytest.mark.newest_nodes  # the next one runs the command on all three
def test_check_reports_each_part_that_fails(
    admin: Admin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, found = admin.findings()
    assert code == 1
    assert found["engine"][0]
    assert found["model"][0]
    name = admin.env["VIDSEARCH_INDEX__NAME"]
    advice = (
        f"no index or alias {name!r} at {admin.node.url}: create it with `vidsearch index create`, "
        "or name another one in VIDSEARCH_INDEX__NAME"
    )
    assert found["index"] == (False, advice)
    assert found["broker"][1].endswith(f", 0 queued in 'q-{name}'")
    ok, detail = found["workers"]
    assert not ok
    assert "Start one with these settings: celery -A vidsearch_tasks worker" in detail

    assert admin("index", "create")[0] == 0
    with Worker(tmp_path / "worker", admin.env, app="vidsearch_tasks"):
        kept: list[tuple[int, dict[str, tuple[bool, str]]]] = []

        def is_answered() -> bool:
            kept[:] = [admin.findings()]
            return kept[0][1]["workers"][0]

        until(is_answered, what="the worker answers")
        code, found = kept[0]
        monkeypatch.setenv("VIDSEARCH_INDEX__NAME", f"{name}-other")
        elsewhere = admin.findings()[1]["workers"]
    assert (code, [ok for ok, _ in found.values()]) == (0, [True] * 6)
    assert admin.node.version in found["engine"][1]
    assert "0 videos, same model" in found["index"][1]
    assert found["media"][1].startswith("pyav in a child process; local videos from any folder")
    assert found["workers"][1].startswith("worker@")
    assert f": index {name!r}, embeds with demo@" in found["workers"][1]
    # A worker with other settings takes the messages, and drops them.
    assert not elsewhere[0]
    assert f"serve another index than '{name}-other' (worker@" in elsewhere[1]
    assert f"index {name!r}" in elsewhere[1]
    assert f"Start them with VIDSEARCH_INDEX__NAME={name}-other, or give" in elsewhere[1]


def test_check_reads_the_settings_of_media(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDSEARCH_THUMBNAILS__URL", "qq://x/y")
    ok, detail = admin.findings()[1]["media"]
    assert not ok
    assert "thumbnails.url 'qq://x/y'" in detail
    monkeypatch.setenv("VIDSEARCH_SOURCES__PRIVATE_HOSTS", '["127.0.0.0/99"]')
    ok, detail = admin.findings()[1]["media"]
    assert not ok
    assert "sources.private_hosts: '127.0.0.0/99'" in detail


def test_check_reports_dependent_parts_as_not_checked(
    admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDSEARCH_ENGINE__URL", "http://127.0.0.1:1")
    monkeypatch.setenv("VIDSEARCH_BROKER__URL", "redis://me:hunter2@127.0.0.1:1/0")
    code, found = admin.findings()
    assert code == 1
    assert found["engine"][1].startswith("http://127.0.0.1:1 does not answer: Connection refused")
    assert found["model"][0]
    assert found["index"] == (False, "not checked: engine failed")
    assert "redis://me:***@127.0.0.1:1/0 does not answer" in found["broker"][1]
    assert found["workers"] == (False, "not checked: broker failed")
    assert "hunter2" not in json.dumps(found)


def test_diff_shows_changes_and_apply_makes_them(
    admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDSEARCH_INDEX__REPLICAS", "0")
    code, out, _ = admin("index", "create", "--dry-run")
    assert code == 0
    body = json.loads(out)
    assert admin("index", "show")[0] == 1, "nothing was created"
    assert admin("index", "create")[0] == 0
    assert admin("index", "diff", "--json")[:2] == (0, "[]\n")

    monkeypatch.setenv("VIDSEARCH_INDEX__REPLICAS", "1")
    monkeypatch.setenv("VIDSEARCH_INDEX__SHARDS", "3")
    code, out, _ = admin("index", "diff", "--json")
    assert code == 1
    replicas = {
        "path": "settings.index.number_of_replicas",
        "live": str(body["settings"]["index"]["number_of_replicas"]),
        "wanted": 1,
        "how": "in place",
        "command": "vidsearch index diff --apply",
    }
    shards = {
        "path": "settings.index.number_of_shards",
        "live": "1",
        "wanted": 3,
        "how": "new index",
        "command": "vidsearch reindex --shards 3",
    }
    assert json.loads(out) == [shards, replicas]
    monkeypatch.setenv("VIDSEARCH_INDEX__QUANTIZATION", "flat")
    lines = [line.split("\t") for line in admin("index", "diff")[1].splitlines()]
    assert any(what.startswith("video.segments.vector.") for what, *_ in lines)
    monkeypatch.delenv("VIDSEARCH_INDEX__QUANTIZATION")
    code, out, err = admin("index", "diff", "--apply", "--json")
    assert (code, json.loads(out)) == (1, [shards])
    assert err == (
        "changed: settings.index.number_of_replicas\n"
        "what is not `in place` needs a new index: `vidsearch reindex --shards 3` makes it, under "
        "live traffic\n"
    )
    monkeypatch.setenv("VIDSEARCH_INDEX__SHARDS", "1")
    name = admin.env["VIDSEARCH_INDEX__NAME"]
    same = (0, "", f"{name} is as the settings describe it\n")
    assert admin("index", "diff", "--apply") == same
    if admin.node.kind == "elasticsearch":  # OpenSearch changes no method of a live index
        monkeypatch.setenv("VIDSEARCH_INDEX__QUANTIZATION", "binary")
        code, out, err = admin("index", "diff", "--apply")
        assert (code, out) == (0, "")
        assert "video.segments.vector.index_options" in err
        assert "\nexisting Lucene segments keep their form until they are merged\n" in err
