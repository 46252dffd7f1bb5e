"""The main job as its users run it: a CSV file, the command line, a worker, then searches.

The clips are drawn, encoded as H.264 and seen by the demo model; what they show was never trained.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.conftest import RunningServices
from tests.integration.worker import Worker
from tests.services import WHOLE_WAYS

from vidsearch.config import Settings
from vidsearch.demo import DemoClip, demo_clips
from vidsearch.search import SearchResult, VideoSearch

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Library:
    """Ingested clips and how to reach them."""

    clips: tuple[DemoClip, ...]
    env: dict[str, str]
    videos: VideoSearch
    ingest: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[DemoClip, ...]:
    return demo_clips(tmp_path_factory.mktemp("clips"), seed=11)


@pytest.fixture(scope="module", params=WHOLE_WAYS)
def library(
    request: pytest.FixtureRequest,
    services: RunningServices,
    clips: tuple[DemoClip, ...],
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Library]:
    node = services.node(request.param)
    folder = tmp_path_factory.mktemp("library")
    name = f"test-{uuid.uuid4().hex[:12]}"
    env = {
        "VIDSEARCH_ENGINE__URL": node.url,
        "VIDSEARCH_BROKER__URL": redis_url,
        "VIDSEARCH_BROKER__QUEUE": f"q-{name}",
        "VIDSEARCH_INDEX__NAME": name,
        "VIDSEARCH_MODEL__NAME": "demo",
    }
    with (folder / "clips.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "uri", "title", "light"])
        for clip in clips:
            light = "dark" if "dark" in clip.tags else "light"
            table.writerow([clip.id, clip.path, clip.title, light])
    settings = Settings(engine={"url": node.url}, index={"name": name}, model={"name": "demo"})
    try:
        assert vidsearch(env, "index", "create").returncode == 0
        with Worker(folder / "worker", env, app="vidsearch_tasks"):
            done = vidsearch(env, "ingest", "--csv", str(folder / "clips.csv"), "--wait", "--json")
        with VideoSearch.from_settings(settings) as videos:
            yield Library(clips, env, videos, done)
    finally:
        services.drop(name)


def vidsearch(env: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vidsearch.cli", *args],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def test_every_clip_is_ingested(library: Library) -> None:
    assert library.ingest.returncode == 0, library.ingest.stderr
    records = json.loads(library.ingest.stdout)
    assert {record["id"]: record["state"] for record in records} == {
        clip.id: "indexed" for clip in library.clips
    }
    # A person at a pipe sees the count grow, and nothing of it is on stdout.
    assert f"{len(library.clips)}/{len(library.clips)}" in library.ingest.stderr


def test_each_scene_is_found_by_its_caption(library: Library) -> None:
    for clip in library.clips:
        for scene in clip.scenes:
            hit = _first(library.videos.search(scene.caption, mode="vector", k=3))
            assert hit == clip.id, scene.caption


def test_moment_of_the_searched_scene_comes_first(library: Library) -> None:
    double = [clip for clip in library.clips if len(clip.scenes) == 2]
    assert len(double) >= 4
    for clip in double:
        for scene in clip.scenes:
            hit = library.videos.search(scene.caption, mode="vector", k=3).hits[0]
            assert hit.id == clip.id
            best, other = hit.moments
            assert (best.start, best.end) == pytest.approx((scene.start, scene.end), abs=0.2)
            assert best.cosine > other.cosine + 0.1


def test_hybrid_with_filter_finds_the_clip_with_word_and_look(library: Library) -> None:
    for clip in library.clips[:6]:
        place = clip.title.split()[0]
        light = "dark" if "dark" in clip.tags else "light"
        words = f"{place} {clip.scenes[0].caption}"
        result = library.videos.search(words, k=5, filter={"light": light})
        assert _first(result) == clip.id
        assert {hit.fields["light"] for hit in result} == {light}
        other = {"dark": "light", "light": "dark"}[light]
        assert clip.id not in [
            hit.id for hit in library.videos.search(words, k=5, filter={"light": other})
        ]


def test_keyword_search_finds_words_of_titles_only(library: Library) -> None:
    place = library.clips[0].title.split()[0]
    expected = {clip.id for clip in library.clips if place in clip.title}
    found = library.videos.search(place, k=24, mode="keyword")
    assert {hit.id for hit in found} == expected
    assert not library.videos.search("rhombus", mode="keyword").hits


def test_search_command_prints_the_hits_of_the_library(library: Library) -> None:
    caption = library.clips[3].scenes[-1].caption
    answer = vidsearch(library.env, "search", caption, "-k", "3", "--json")
    assert answer.returncode == 0, answer.stderr
    printed = json.loads(answer.stdout)
    expected = library.videos.search(caption, k=3)
    assert [hit["id"] for hit in printed["hits"]] == [hit.id for hit in expected]
    assert printed["hits"][0]["id"] == library.clips[3].id


def test_second_ingest_embeds_no_video_again(library: Library) -> None:
    before = json.loads(vidsearch(library.env, "videos", "list", "--json").stdout)
    again = vidsearch(library.env, "ingest", str(library.clips[0].path), "--id-from", "name")
    assert again.returncode == 0, again.stderr
    after = json.loads(vidsearch(library.env, "videos", "list", "--json").stdout)
    stamps = {record["id"]: record["indexed_at"] for record in before}
    assert {
        record["id"]: record["indexed_at"] for record in after if record["id"] in stamps
    } == stamps


def _first(result: SearchResult) -> str:
    return result.hits[0].id
