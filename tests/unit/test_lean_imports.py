"""What clients load beside is not loaded for a command, and only there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from vidsearch.cli import lean_imports, main

_BESIDE = {"aiohttp", "httpx", "requests", "pyarrow", "opentelemetry", "yaml"}
_CLIENTS = "elasticsearch, opensearchpy, kombu.transport.redis"


def loaded_by(*lines: str) -> set[str]:
    told = f"print(json.dumps([name for name in {sorted(_BESIDE)} if name in sys.modules]))"
    code = "\n".join(["import json, sys", *lines, told])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def test_clients_of_a_command_load_nothing_beside_and_work() -> None:
    assert loaded_by(f"import {_CLIENTS}") >= {"aiohttp", "httpx", "requests", "opentelemetry"}
    lean = loaded_by(
        "from vidsearch.cli.lean_imports import import_lean",
        "import_lean()",
        f"import {_CLIENTS}",
        "elasticsearch.Elasticsearch('http://localhost:9200').close()",
        "opensearchpy.OpenSearch('http://localhost:9200').close()",
    )
    assert lean == {"requests"}, "the client of OpenSearch needs that"


def test_what_a_command_imports_itself_and_what_is_loaded_already_is_not_hidden() -> None:
    found = loaded_by(
        "from vidsearch.cli.lean_imports import import_lean",
        "import aiohttp",
        "import_lean()",
        "import elasticsearch, elastic_transport",
        "elastic_transport.AiohttpHttpNode(elastic_transport.NodeConfig('http', 'localhost', 1))",
        "import httpx, yaml",
    )
    assert found == {"aiohttp", "httpx", "yaml"}


def test_a_client_that_needs_what_is_hidden_is_imported_with_it(tmp_path: Path) -> None:
    (tmp_path / "redis.py").write_text("import opentelemetry.trace")
    found = loaded_by(
        "from vidsearch.cli.lean_imports import import_lean",
        "import_lean()",
        f"sys.path.insert(0, {str(tmp_path)!r})",
        "import redis",
    )
    assert found == {"opentelemetry"}


def test_nothing_is_hidden_from_other_modules_in_the_zip_file_of_a_client(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "app.zip", "w") as app:
        app.writestr("redis.py", "")
        app.writestr("other.py", "import opentelemetry.trace")
    found = loaded_by(
        "from vidsearch.cli.lean_imports import import_lean",
        "import_lean()",
        f"sys.path.insert(0, {str(tmp_path / 'app.zip')!r})",
        "import redis, other",
    )
    assert found == {"opentelemetry"}


@pytest.mark.parametrize(
    ("command", "lean"), [("status", True), ("search", True), ("web", False), ("mcp", False)]
)
def test_commands_import_clients_lean_but_for_those_of_an_event_loop(
    command: str, lean: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(lean_imports, "import_lean", lambda: asked.append(True))
    monkeypatch.setattr(sys, "argv", ["vidsearch", command, "--help"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    assert asked == [True] * lean
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert asked == [True] * lean, "another program's process stays as it is"


@pytest.mark.parametrize(("loads", "is_frozen"), [("click", True), ("numpy", False)])
def test_what_a_short_command_loaded_is_not_freed_unless_it_computes(
    loads: str, is_frozen: bool
) -> None:
    code = (
        f"import gc, sys, {loads}\n"
        "gc.freeze = lambda: print('frozen')\n"
        "sys.argv = ['vidsearch', '--version']\n"
        "from vidsearch.cli.root import main\n"
        "main()"
    )
    run = [sys.executable, "-c", code]
    said = subprocess.run(run, capture_output=True, text=True, timeout=120, check=True).stdout
    assert ("frozen" in said) == is_frozen
