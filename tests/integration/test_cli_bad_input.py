"""What a user sees who gets something wrong: the message, the exit code, no traceback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from vidsearch.cli.root import main
from vidsearch.local import SearchNode
from vidsearch.testing.checkpoints import random_clip_checkpoint

# What the engines refuse is held to all three nodes by test_engine_errors.py.
pytestmark = [pytest.mark.integration, pytest.mark.one_node("es-9.5.3")]


class Cli:
    """Runs commands in this process, with settings in the environment as a user has them."""

    def __init__(self, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._patch = patch

    def set(self, **variables: str) -> None:
        for name, value in variables.items():
            self._patch.setenv(f"VIDSEARCH_{name}", value)

    def __call__(self, *args: str) -> tuple[int, str, str]:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main(args)
        out, err = self._capsys.readouterr()
        assert "Traceback" not in err
        assert isinstance(stop.value.code, int)
        return stop.value.code, out, err

    def fails(self, *args: str, code: int) -> str:
        """The message of a command that must fail with ``code`` and print no data."""
        found, out, err = self(*args)
        assert (found, out) == (code, ""), err
        return err.strip().splitlines()[-1].removeprefix("Error: ")


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    monkeypatch.chdir(tmp_path)
    found = Cli(capsys, monkeypatch)
    found.set(MODEL__NAME="demo")
    return found


@pytest.fixture
def live(cli: Cli, search_node: SearchNode, index_name: str) -> Cli:
    """With an empty index on each of the real nodes."""
    cli.set(
        ENGINE__URL=search_node.url,
        ENGINE__KIND=search_node.kind,
        INDEX__NAME=index_name,
    )
    code, _, err = cli("index", "create")
    assert code == 0
    assert err.startswith(f"created {index_name}-000001, alias {index_name}, for model demo@")
    return cli


@pytest.fixture
def refusing() -> Iterator[str]:
    """A server that knows nobody, as a cluster with security does."""

    class Handler(BaseHTTPRequestHandler):
        def _refuse(self) -> None:
            body = b'{"error":{"type":"security_exception","reason":"unable to authenticate"}}'
            self.send_response(401)
            self.send_header("Content-Type", "application/json")
            self.send_header("X-Elastic-Product", "Elasticsearch")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_HEAD = do_PUT = _refuse  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_unknown_setting_is_refused_with_the_nearest_name(cli: Cli) -> None:
    cli.set(ENGIN__URL="http://localhost:9200")
    assert cli.fails("search", "dog", code=2) == (
        "unknown setting: VIDSEARCH_ENGIN__URL (did you mean VIDSEARCH_ENGINE__URL?). "
        "`vidsearch settings` lists the known ones."
    )


def test_wrong_url_is_refused_with_its_setting(cli: Cli) -> None:
    cli.set(ENGINE__URL="localhost:9200")
    assert cli.fails("index", "show", code=2) == (
        "setting engine.url: must look like http://host:9200 or https://host:9200"
    )


@pytest.mark.parametrize(
    "command",
    [
        ("search", "dog"),
        ("search", "dog", "--mode", "keyword"),
        ("index", "show"),
        ("index", "create"),
        ("videos", "list"),
        ("sweep",),
        ("reindex", "--all"),
    ],
)
@pytest.mark.parametrize("kind", ["auto", "elasticsearch", "opensearch"])
def test_unreachable_engine_is_reported_with_its_url(
    cli: Cli, command: tuple[str, ...], kind: str
) -> None:
    cli.set(ENGINE__URL="http://127.0.0.1:1", ENGINE__KIND=kind)
    message = cli.fails(*command, code=1)
    assert message == (
        "http://127.0.0.1:1 does not answer: Connection refused. "
        "Is the search engine running, and is engine.url right?"
    )


@pytest.mark.parametrize("kind", ["elasticsearch", "opensearch"])
def test_wrong_credentials_are_reported_without_the_password(
    cli: Cli, refusing: str, kind: str
) -> None:
    cli.set(
        ENGINE__URL=refusing,
        ENGINE__KIND=kind,
        ENGINE__USERNAME="elastic",
        ENGINE__PASSWORD="hunter2",
    )
    message = cli.fails("index", "show", code=1)
    assert refusing in message
    assert "401" in message
    assert "unable to authenticate" in message
    assert "VIDSEARCH_ENGINE__" in message or "engine." in message
    assert "hunter2" not in message


@pytest.mark.parametrize("mode", ["hybrid", "vector", "keyword"])
def test_missing_index_is_reported_with_advice(
    cli: Cli, search_node: SearchNode, mode: str
) -> None:
    cli.set(ENGINE__URL=search_node.url, ENGINE__KIND=search_node.kind, INDEX__NAME="absent")
    assert cli.fails("search", "dog", "--mode", mode, code=1) == (
        f"no index or alias 'absent' at {search_node.url}: create it with "
        "`vidsearch index create`, or name another one in VIDSEARCH_INDEX__NAME"
    )
    assert cli.fails("videos", "list", code=1) == (
        "there is no registry 'vidsearch-absent-registry'; create it with `vidsearch index create`"
    )
    assert "`vidsearch index create`" in cli.fails("index", "show", code=1)


def test_existing_index_is_not_created_again(live: Cli, index_name: str) -> None:
    assert live.fails("index", "create", code=1) == (
        f"{index_name!r} exists already ({index_name}-000001); use it as it is, "
        "or drop it first with `vidsearch index drop`"
    )


def test_index_of_another_model_is_searched_with_that_one(live: Cli, tmp_path: Path) -> None:
    live.set(MODEL__NAME=str(random_clip_checkpoint(tmp_path / "other-model", shape="tiny")))
    code, _, err = live("search", "dog")
    assert code == 0
    assert err.startswith("No videos found")


def test_index_of_another_model_that_is_not_found_is_refused_with_both_named(
    live: Cli, index_name: str
) -> None:
    live.set(INGEST__FPS="2")
    message = live.fails("search", "dog", code=1)
    assert f"index '{index_name}-000001' holds vectors of demo@" in message
    assert "but the configured model is demo@" in message
    assert "differs in sampling" in message
    assert "VIDSEARCH_MODEL__OTHERS" in message
    # A keyword search compares no vectors, so it goes on.
    code, _, err = live("search", "dog", "--mode", "keyword")
    assert code == 0
    assert err.startswith("No videos found: none has these words;")


def test_what_is_missing_is_embedded_with_the_model_of_the_index(
    live: Cli, index_name: str, tmp_path: Path
) -> None:
    live.set(MODEL__NAME=str(random_clip_checkpoint(tmp_path / "other-model", shape="tiny")))
    code, _, err = live("reindex", "--missing")
    assert code == 0
    assert err.startswith(f"note: index '{index_name}-000001' holds vectors of demo@")
    assert "VIDSEARCH_MODEL__NAME names another model" in err


@pytest.mark.parametrize("args", [("--all",), ("--all", "--dry-run")])
def test_reindex_with_another_model_is_refused_and_enqueues_nothing(
    live: Cli, index_name: str, tmp_path: Path, args: tuple[str, ...]
) -> None:
    other = random_clip_checkpoint(tmp_path / "other-model", shape="tiny")
    assert live("reindex", *args)[0] == 0
    live.set(MODEL__NAME=str(other))
    message = live.fails("reindex", *args, code=1)
    assert f"index '{index_name}' holds vectors of demo@" in message
    assert "but the configured model is local@" in message
    assert "Configure that model, or see `vidsearch reindex --model`." in message
    live.set(MODEL__NAME=str(tmp_path / "nowhere"))
    code, _, err = live("reindex", *args)
    assert code == 0
    assert err.startswith("note: it is not known here whether the workers have the same model: ")


def test_unknown_video_id_is_reported(live: Cli) -> None:
    for command in (("show",), ("retry",), ("delete",)):
        assert live.fails("videos", *command, "nope", code=1) == "no video 'nope' is registered"


@pytest.mark.parametrize("content", [b"", b"not a video at all" * 100])
def test_embedding_an_unreadable_file_reports_the_reason(
    cli: Cli, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "broken.mp4").write_bytes(content)
    message = cli.fails("embed", "video", "broken.mp4", code=1)
    assert message.startswith("broken.mp4 ")
    assert len(message) > len("broken.mp4 ") + 10
    assert cli.fails("embed", "video", "absent.mp4", code=1) == "no such file: absent.mp4"


@pytest.mark.parametrize("text", ["", "   "])
def test_empty_text_is_refused(live: Cli, text: str) -> None:
    for mode in ("hybrid", "vector", "keyword"):
        assert live.fails("search", text, "--mode", mode, code=2) == (
            "the search text is empty: say what the video should show"
        )
    assert "empty" in live.fails("embed", "text", text, code=2)


def test_too_long_text_is_truncated_with_a_warning(live: Cli) -> None:
    code, out, err = live("search", "dog " * 100)
    assert (code, out) == (0, "")
    assert "Warning: the text has " in err
    assert "tokens, the model reads the first 77 only" in err


@pytest.mark.parametrize("k", ["0", "-3", "101", "1000000"])
def test_k_out_of_range_is_refused(live: Cli, k: str) -> None:
    assert live.fails("search", "dog", "-k", k, code=2) == (
        f"-k must be a whole number from 1 to 100 (the setting search.window), not {k}"
    )


@pytest.mark.parametrize("mode", ["hybrid", "vector", "keyword"])
def test_filter_on_an_unmapped_field_is_refused_with_the_mapped_ones(live: Cli, mode: str) -> None:
    message = live.fails("search", "dog", "--filter", "colour=red", "--mode", mode, code=2)
    assert message.startswith("--filter on 'colour': no such field in the index. Mapped fields: ")
    assert "title" in message


def test_filter_that_is_no_condition_is_refused(live: Cli) -> None:
    assert live.fails("search", "dog", "--filter", "tags", code=2) == (
        "--filter 'tags' is no condition: write tags=sport, tags=a,b, year>=2020 or a JSON clause"
    )
