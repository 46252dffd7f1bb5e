"""The commands of the docs run, in the order of a person who reads them, on a real node.

``tests/docs_runs.py`` has the lines, and where those run that are not here.
"""

from __future__ import annotations

import io
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from celery import Celery
from tests.command_line import Result, Run, runner
from tests.docs_runs import COMMANDS, EXIT_CODES
from tests.docs_stage import an_index_of_an_application, services_in_force, set_settings

from vidsearch.demo import Scene, Shot, write_clip
from vidsearch.index import create_videos_index
from vidsearch.local import SearchNode
from vidsearch.testing.checkpoints import turned_demo_checkpoint
from vidsearch_tasks import Services, register_video

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


@pytest.fixture
def env(
    elasticsearch_9: SearchNode,
    redis_url: str,
    index_name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Settings as a person would set them, and an empty working folder."""
    sections: dict[str, dict[str, Any]] = {
        "engine": {"url": elasticsearch_9.url},
        "broker": {"url": redis_url, "queue": f"q-{index_name}"},
        "index": {"name": index_name, "replicas": 0},
        "ingest": {"isolate": False},
        "model": {"name": "demo", "threads": 1},
    }
    set_settings(monkeypatch, sections)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three short clips."""
    folder = tmp_path_factory.mktemp("clips")
    for colour in ("red", "blue", "yellow"):
        scene = Scene(
            shape="circle", colour=colour, count=1, size="large", texture="solid",
            background="black",
        )  # fmt: skip
        write_clip(folder / f"{colour}.mp4", [Shot(scene=scene, seconds=2)], fps=5)
    return folder


@pytest.fixture(scope="module")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as one that was fine-tuned."""
    return turned_demo_checkpoint(tmp_path_factory.mktemp("model"))


@pytest.fixture
def reader(
    env: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Reader:
    return Reader(runner(capsys), monkeypatch)


class Reader:
    """Types what the docs say, with files and names of their own in place of the examples."""

    def __init__(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        self._run = run
        self._monkeypatch = monkeypatch
        self.own: dict[str, str] = {}
        self.stdin = ""

    def types(self, place: str) -> dict[str, str]:
        """What each command of a place printed; each has to end as it should."""
        printed, problems = {}, []
        for line in COMMANDS[place]:
            if (done := self._type(line)) is None:
                continue
            printed[line] = done.out
            if done.code != EXIT_CODES.get(line, 0):
                problems.append(f"{line}: {done.code}\n{done.out}\n{done.err}")
        assert problems == [], "\n".join(problems)
        return printed

    def _type(self, line: str) -> Result | None:
        given, _, command = line.rpartition(" | ")
        command, _, file = command.partition(" > ")
        words = [self._own(word) for word in shlex.split(command)]
        with self._monkeypatch.context() as patch:
            typed = self.stdin if given else "y\n" * 5  # to what asks before it deletes
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed.encode())))
            lasts = words[0] == "export"
            for word in words[lasts:]:
                if not re.match(r"[A-Z_]+=", word):
                    break
                name, _, value = word.partition("=")
                (self._monkeypatch if lasts else patch).setenv(name, self._own(value))
            if lasts:
                return None
            done = self._run(*words[words.index("vidsearch") + 1 :])
        if file:
            Path(file).write_text(done.out)
        return done

    def _own(self, word: str) -> str:
        for shown, own in self.own.items():
            if word == shown or word.startswith(f"{shown}/"):
                return word.replace(shown, own, 1)
        return word


def test_an_index_is_made_compared_and_planned(reader: Reader) -> None:
    printed = reader.types("empty")
    assert "binary" in printed["VIDSEARCH_INDEX__QUANTIZATION=binary vidsearch index diff"]


def test_an_index_of_an_application_is_attached_scanned_and_left(
    reader: Reader, index_name: str
) -> None:
    name = f"{index_name}-own"
    with Services() as connected:
        an_index_of_an_application(connected.engine, f"{name}-000001")
        connected.engine.update_aliases([{"add": {"index": f"{name}-000001", "alias": name}}])
    reader.own = {"products": name}
    printed = reader.types("attached")
    assert printed["vidsearch scan"].count("\tenqueue\t") == 3


@pytest.fixture
def videos(env: None, clips: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of indexed videos, with words and years."""
    app = Celery("docs", broker="memory://", set_as_current=False)
    app.conf.task_always_eager = True
    ids = ["clip-42", "film", "ID"]
    with services_in_force(monkeypatch, app=app) as services:
        create_videos_index(services.engine, services.settings.index, services.encoder.identity)
        for id, clip in zip(ids, sorted(clips.glob("*.mp4")), strict=True):
            fields = {"title": "A boat leaves the harbour", "year": 2025}
            record = register_video(id, uri=str(clip), fields=fields, services=services)
            assert str(record.state) == "indexed"
        services.engine.refresh(services.settings.index.name)
    return ids


def test_videos_are_searched_measured_reindexed_and_looked_after(
    reader: Reader, videos: list[str], clips: Path, other_model: Path
) -> None:
    files = sorted(clips.glob("*.mp4"))
    captions = [f"{file.name},a thing of number {at}" for at, file in enumerate(files)]
    Path("captions.csv").write_text("\n".join(["video,caption", *captions]))
    queries = [(f"a boat {at}", id) for at, id in enumerate(videos * 4)]  # for tuning, at least ten
    Path("judged.csv").write_text("\n".join(["query,id", *map(",".join, queries)]))
    Path("judged.qrels").write_text(
        "".join(f"{at} 0 {id} 1\n" for at, (_, id) in enumerate(queries))
    )
    Path("topics.tsv").write_text(
        "".join(f"{at}\t{text}\n" for at, (text, _) in enumerate(queries))
    )
    Path("clip.mp4").write_bytes(files[0].read_bytes())
    listed = [{"number": "from-a-list", "link": str(files[0])}]
    Path("videos.csv").write_text(f"number,link\n{listed[0]['number']},{listed[0]['link']}\n")
    pyarrow.parquet.write_table(
        pyarrow.Table.from_pylist([{"id": "of-a-table", "uri": files[1].name}]), "videos.parquet"
    )
    reader.stdin = f'{{"id": "of-a-pipe", "uri": "{files[2]}"}}\n'
    reader.own = {
        "/videos": str(clips),
        "s3://bucket/clips": str(clips),
        "/models/ours": str(other_model),
    }
    printed = reader.types("videos")
    found = printed["vidsearch search --like clip-42 -k 3"]
    assert "film" in found
    assert "clip-42" not in found
    assert {file.name for file in Path().iterdir()} >= {
        *("legs.json", "boat.npy", "clip.npy", "pairs.html", "searches.html"),
    }
    with Services() as services:
        ids = ["from-a-list", "of-a-table", "of-a-pipe"]
        assert {*services.registry.find_many(ids)} == {*ids}
