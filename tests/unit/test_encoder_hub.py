"""Checkpoints by hub id, against a hub of our own on this machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from vidsearch.testing.checkpoints import random_clip_checkpoint

pytest.importorskip("torch")
pytest.importorskip("transformers")

_COMMIT = "0123456789abcdef0123456789abcdef01234567"
_SCRIPT = """
import json, sys
from pydantic import SecretStr
from vidsearch.encoders import TorchEncoder
from vidsearch.errors import VidsearchError

for line in sys.stdin:
    name, arguments = json.loads(line)
    if "token" in arguments:
        arguments["token"] = SecretStr(arguments["token"])
    encoder = TorchEncoder(name, device="cpu", **arguments)
    try:
        identity = encoder.identity
        vector = encoder.encode_text(["a red circle"])[0]
        answer = {"identity": identity.to_meta(), "vector": vector.tolist()}
    except VidsearchError as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    print(json.dumps(answer), flush=True)
"""


class _Hub(BaseHTTPRequestHandler):
    """The few routes of the hub that a download needs."""

    protocol_version = "HTTP/1.1"
    folder: Path
    asked: list[str]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        self.asked.append(path)
        if match := re.fullmatch(r"/api/models/(\w+/\w+)/(?:revision|tree)/(\w+)", path):
            repository, revision, file = match[1], match[2], None
        elif match := re.fullmatch(r"/(\w+/\w+)/resolve/(\w+)/([\w.]+)", path):
            repository, revision, file = match[1], match[2], self.folder / match[3]
        else:
            return self._fail("EntryNotFound", 404)
        if repository == "acme/private" and self.headers.get("Authorization") != "Bearer hf_right":
            return self._fail("RepoNotFound", 401)
        if repository not in {"acme/clip", "acme/private"}:
            return self._fail("RepoNotFound", 404)
        if revision not in {"main", "v1", _COMMIT}:
            return self._fail("RevisionNotFound", 404)
        if file is None:
            files = sorted(self.folder.iterdir())
            info = {"id": repository, "sha": _COMMIT}
            tree = [
                {"type": "file", "path": f.name, "size": f.stat().st_size, "oid": f"{f.name}-1"}
                for f in files
            ]
            content = json.dumps(tree if "/tree/" in path else info).encode()
        elif file.is_file():
            content = file.read_bytes()
        else:
            return self._fail("EntryNotFound", 404)
        self.send_response(200)
        self.send_header("X-Repo-Commit", _COMMIT)
        self.send_header("ETag", f'"{file.name if file else "json"}-1"')
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)
        return None

    def _fail(self, code: str, status: int) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Repo-Commit", _COMMIT)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Client:
    """Encodes in a process of its own, because the hub's client reads its settings once."""

    def __init__(self, url: str, *, cache: Path) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        environment |= {"HF_ENDPOINT": url, "HF_HOME": str(cache), "NO_PROXY": "127.0.0.1"}
        environment |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def encode(self, name: str, **arguments: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, arguments]) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        _, stderr = self._process.communicate(timeout=120)
        assert self._process.returncode == 0, stderr
        assert stderr == ""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_clip_checkpoint(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def asked() -> list[str]:
    """Paths that the hub was asked for."""
    return []


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub-cache")


@pytest.fixture(scope="module")
def client(checkpoint: Path, asked: list[str], cache: Path) -> Iterator[Client]:
    handler = type("Handler", (_Hub,), {"folder": checkpoint, "asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            client = Client(f"http://127.0.0.1:{server.server_port}", cache=cache)
            yield client
            client.close()
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def fetched(client: Client) -> dict[str, Any]:
    """The answer for a checkpoint that is in the cache now."""
    return client.encode("acme/clip")


def test_first_download_takes_all_files_of_one_commit(client: Client, asked: list[str]) -> None:
    answer = client.encode("acme/clip")
    identity = answer["identity"]
    assert (identity["name"], identity["revision"]) == ("acme/clip", _COMMIT)
    assert identity["dims"] == 64
    # Once the commit is known it is named: a push in between cannot mix two versions.
    assert "/api/models/acme/clip/revision/main" in asked
    files = [path.split("/") for path in asked if "/resolve/" in path]
    assert {revision for _, _, _, _, revision, _ in files} == {_COMMIT}
    assert "model.safetensors" in {file for *_, file in files}


def test_hub_and_folder_give_the_same_vectors(
    client: Client, fetched: dict[str, Any], checkpoint: Path
) -> None:
    assert client.encode(str(checkpoint))["vector"] == fetched["vector"]


def test_a_cached_checkpoint_needs_no_hub(
    client: Client, fetched: dict[str, Any], asked: list[str]
) -> None:
    asked.clear()
    assert client.encode("acme/clip", offline=True) == fetched
    assert asked == []


def test_model_show_describes_a_cached_checkpoint(
    fetched: dict[str, Any], cache: Path, tmp_path: Path
) -> None:
    shown = _shown("acme/clip", cache, tmp_path)
    assert shown["source"] == f"model hub, commit {_COMMIT}"
    assert (shown["name"], shown["family"]) == ("acme/clip", "clip")
    assert shown["weights"] == "on this machine"
    assert {**shown["identity"], "precision": "any"} == {**fetched["identity"], "precision": "any"}


def test_model_show_reports_missing_weights(
    fetched: dict[str, Any], cache: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(cache, tmp_path / "cache", symlinks=True)
    (weights,) = copy.rglob("model.safetensors")
    weights.unlink()
    shown = _shown("acme/clip", copy, tmp_path)
    assert shown["weights"] == "not on this machine; downloaded when first needed"


def _shown(name: str, cache: Path, folder: Path) -> dict[str, Any]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "VIDSEARCH_"))}
    environment |= {"HF_HOME": str(cache), "VIDSEARCH_MODEL__NAME": name}
    environment |= {"VIDSEARCH_MODEL__OFFLINE": "true", "VIDSEARCH_MODEL__DEVICE": "cpu"}
    done = subprocess.run(
        [sys.executable, "-m", "vidsearch.cli", "model", "show", "--json"],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    shown: dict[str, Any] = json.loads(done.stdout)
    return shown


def test_a_tag_and_its_commit_are_the_same_model(client: Client, fetched: dict[str, Any]) -> None:
    assert client.encode("acme/clip", revision="v1") == fetched
    assert client.encode("acme/clip", revision=_COMMIT) == fetched


def test_token_gives_access_to_a_private_checkpoint(client: Client) -> None:
    refused = client.encode("acme/private")
    assert refused["error"] == "ModelUnavailableError"
    assert "VIDSEARCH_MODEL__TOKEN" in refused["message"]
    opened = client.encode("acme/private", token="hf_right\n")
    assert opened["identity"]["name"] == "acme/private"


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("acme/nothing", {}, "the model hub knows no 'acme/nothing'"),
        ("acme/clip", {"revision": "v9"}, "the model hub has no 'acme/clip' (revision 'v9')"),
        ("acme/never-fetched", {"offline": True}, "asking the hub is switched off"),
    ],
)
def test_missing_checkpoint_revision_or_file_is_reported(
    client: Client, name: str, arguments: dict[str, Any], message: str
) -> None:
    answer = client.encode(name, **arguments)
    assert answer["error"] == "ModelUnavailableError"
    assert message in answer["message"]


def test_a_cached_checkpoint_works_while_the_hub_is_away(
    fetched: dict[str, Any], cache: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    away = Client(f"http://127.0.0.1:{port}", cache=cache)
    try:
        assert away.encode("acme/clip") == fetched
    finally:
        away.close()
