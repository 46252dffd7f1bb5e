"""``vidsearch plan``: what videos take, by rates that are those of the kept measurements."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.command_line import Run, runner

from vidsearch.embeddings import EmbeddingStore, FrameVectors
from vidsearch.encoders import ModelIdentity
from vidsearch.media.file_store import FileStore
from vidsearch.sizing import Estimate, Library, PresetCost, estimate, rates

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
DRIFT = 0.25
"""Of a measurement that was made again, until the rates should follow it."""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    return runner(capsys)


def library(**more: Any) -> Library:
    return Library(**{"videos": 1000, "seconds": 18.0, "frames_per_second": 20.0, **more})


def preset(found: Estimate, name: str) -> PresetCost:
    return next(each for each in found.presets if each.preset == name)


def section(module: str, title: str) -> dict[str, Any]:
    kept = json.loads((RESULTS / f"{module}.json").read_text(encoding="utf-8"))
    (found,) = [each for each in kept["sections"] if title in each["title"]]
    return dict(found)


# -- the rates are those that were measured


def test_hours_follow_the_index_of_one_and_a_half_million_vectors() -> None:
    note = next(n for n in section("large", "1,500,000 x")["notes"] if n.startswith("loaded"))
    loaded, merged = map(int, re.findall(r"in (\d+) s", note))

    vectors = 1_500_000 + 100_000  # of segments, and of videos
    assert pytest.approx(vectors / loaded, rel=DRIFT) == rates.INT8_LOADED_PER_SECOND.value
    assert pytest.approx(vectors / merged, rel=DRIFT) == rates.INT8_MERGED_PER_SECOND.value


@pytest.mark.parametrize(
    ("title", "known"),
    [("elasticsearch", rates.ELASTICSEARCH), ("opensearch", rates.OPENSEARCH)],
)
def test_disk_and_ratios_of_presets_are_the_measured_ones(
    title: str, known: dict[str, rates.OfPreset]
) -> None:
    rows = {row[0]: row for row in section("index_presets", title)["rows"]}

    assert set(rows) == set(known)
    for name, cost in known.items():
        *_, loaded, _, megabytes = map(float, rows[name][4:])
        assert cost.disk == pytest.approx(float(megabytes) * 2**20 / 100_000, rel=DRIFT)
        assert cost.loaded_per_second == pytest.approx(loaded, rel=DRIFT)


@pytest.mark.parametrize(
    ("precision", "way"),
    [("fp32", "vidsearch, fp32"), ("bf16", "vidsearch, bf16"), ("int8", "vidsearch, int8 (onnx)")],
)
def test_frames_per_second_are_those_of_a_whole_clip(precision: str, way: str) -> None:
    rows = {row[0]: row for row in section("whole_clip", "360p, 30 s, B-frames, GOP 2")["rows"]}

    measured = 30 / (float(rows[way][2]) / 1000)
    assert rates.FRAMES_PER_SECOND[precision].value == pytest.approx(measured, rel=DRIFT)


def test_seconds_of_a_video_are_those_of_both_processes_of_a_worker() -> None:
    rows = {row[0]: row for row in section("ingestion", "CPU of a worker per video")["rows"]}

    milliseconds = float(rows["both processes, where vectors of frames are kept"][1].split()[0])
    assert rates.VIDEO_SECONDS.value == pytest.approx(milliseconds / 1000, rel=DRIFT)


# -- what is computed from them


def test_hours_and_vectors_of_a_library_follow_by_hand() -> None:
    found = estimate(library())

    assert (found.frames, found.segments, found.vectors) == (18_000, 2, 3_000)
    video = rates.VIDEO_SECONDS.value
    assert found.embed_hours == pytest.approx((18_000 / 20 + 1000 * video) / 3600)
    int8 = preset(found, "int8")
    assert int8.memory_bytes == 3_000 * (512 + 4 + 4 * 16)
    assert int8.load_hours == pytest.approx(3_000 / (1_600_000 / 330) / 3600)
    assert int8.merge_hours == pytest.approx(3_000 / (1_600_000 / 336) / 3600)
    assert int8.hours_by == "1.6 million vectors"


def test_everything_grows_in_proportion_to_the_videos() -> None:
    small, large = estimate(library()).to_dict(), estimate(library(videos=10_000)).to_dict()

    assert large["store_folder_bytes"] == 10 * small["store_folder_bytes"]
    for one, ten in zip(small["presets"], large["presets"], strict=True):
        assert one["memory_bytes"] is None or ten["memory_bytes"] == 10 * one["memory_bytes"]


def test_workers_share_the_hours_and_replicas_multiply_the_bytes() -> None:
    one, more = estimate(library()), estimate(library(workers=4, replicas=2))

    assert more.embed_hours == pytest.approx(one.embed_hours / 4)
    for name in ("memory_bytes", "disk_bytes", "merging_bytes"):
        value = getattr(preset(one, "binary"), name)
        assert getattr(preset(more, "binary"), name) == pytest.approx(3 * value)
    assert more.store_folder_bytes == one.store_folder_bytes


@pytest.mark.parametrize(
    ("name", "per_vector"),
    [
        ("float", 2048 + 64), ("int8", 516 + 64), ("int4", 260 + 64), ("binary", 78 + 64),
        ("flat", 2048), ("int8_flat", 516), ("int4_flat", 260), ("binary_flat", 78),
    ],
)  # fmt: skip
def test_memory_of_elasticsearch_is_that_of_its_manual(name: str, per_vector: int) -> None:
    assert preset(estimate(library()), name).memory_bytes == 3_000 * per_vector


def test_memory_of_opensearch_is_what_its_statistics_told() -> None:
    found = estimate(library(engine="opensearch"))

    per_vector = {
        name: (preset(found, name).memory_bytes or 0) / 3_000 for name in ("fp16", "disk")
    }
    assert per_vector == {"fp16": 1176, "disk": 216}  # docs/indices.md


def test_quantized_presets_take_less_memory_and_more_disk() -> None:
    found = estimate(library())

    graphs = [preset(found, name) for name in ("float", "int8", "int4", "binary")]
    memory = [each.memory_bytes or 0 for each in graphs]
    assert memory == sorted(memory, reverse=True)
    exact = graphs[0].disk_bytes or 0
    assert all((each.disk_bytes or 0) > exact for each in graphs[1:])


def test_more_dims_take_more_disk_by_the_vectors_alone() -> None:
    small, large = estimate(library()), estimate(library(dims=768))

    for name, per_dim in (("float", 4.0), ("int8", 5.0), ("int4", 4.5), ("binary", 4.125)):
        grown = (preset(large, name).disk_bytes or 0) - (preset(small, name).disk_bytes or 0)
        assert grown == pytest.approx(3_000 * 256 * per_dim)


def test_what_was_not_measured_is_left_open() -> None:
    disk = preset(estimate(library()), "disk")
    fp16 = preset(estimate(library(engine="opensearch")), "fp16")

    assert (disk.memory_bytes, disk.disk_bytes, disk.load_hours) == (None, None, None)
    assert (fp16.disk_bytes, fp16.merge_hours, fp16.hours_by) == (None, None, None)


def test_long_videos_get_the_segments_that_settings_allow() -> None:
    assert estimate(library(seconds=36_000.0)).segments == 512
    assert estimate(library(seconds=0.2)).segments == 1
    assert estimate(library(seconds=0.2)).frames == 1000


def test_store_of_embeddings_takes_the_bytes_that_are_estimated(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((60, 512)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    files = FileStore(str(tmp_path), setting="embeddings.url")
    EmbeddingStore(files).keep_frames(
        "0" * 64,
        ModelIdentity("model", "1", 512, image_size=224),
        FrameVectors(
            pts_seconds=np.arange(60.0), vectors=vectors, end_seconds=60.0, damaged=0, points=60,
            width=640, height=360, begin_seconds=0.0, repeats=np.ones(60, np.int64),
        ),
    )  # fmt: skip

    (kept,) = files.files()

    assert estimate(library(videos=1, seconds=60.0)).store_folder_bytes == pytest.approx(
        kept.size, rel=0.01
    )


# -- the command


def test_plan_shows_what_is_computed_and_by_what(run: Run) -> None:
    done = run("plan", "--videos", "1000", "--seconds", "18", "--replicas", "0")

    assert done.code == 0, done.err
    facts, presets = done.out.split("\n\n")
    lines = dict(line.split("\t", 1) for line in facts.splitlines())
    assert lines["frames"] == "18,000\t1 per second"
    assert lines["vectors in the index"].startswith("3,000\t2 segments of 10 s per video")
    assert "python -m benchmarks --only whole_clip" in lines["embedding"]
    assert [line.split("\t")[0] for line in presets.splitlines()] == [
        "preset", "float", "int8", "int4", "binary", "disk", "flat", "int8_flat", "int4_flat",
        "binary_flat",
    ]  # fmt: skip


def test_plan_takes_settings_and_prints_json(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDSEARCH_INGEST__FPS", "2")
    monkeypatch.setenv("VIDSEARCH_INDEX__SEGMENT_SECONDS", "6")
    monkeypatch.setenv("VIDSEARCH_EMBEDDINGS__PRECISION", "fp32")
    command = ("plan", "--videos", "10", "--seconds", "18", "--preset", "binary", "--json")

    done = run(*command, "--frames-per-second", "100", "--workers", "2")

    assert done.code == 0, done.err
    assert (done.data["frames"], done.data["segments"], done.data["vectors"]) == (360, 3, 40)
    assert done.data["store_folder_bytes"] == 360 * (4 * 512 + 16) + 10 * 1125
    assert done.data["frames_per_second"] == {"value": 100.0, "source": "--frames-per-second"}
    (only,) = done.data["presets"]
    assert only["preset"] == "binary"
    assert only["memory_bytes"] == 2 * 40 * (78 + 64)  # one replica is the default


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--preset", "fp16"), "no preset 'fp16' with this engine"),
        (("--preset", "int4", "--dims", "511"), "no preset 'int4' with this engine and so many"),
        (("--videos", "0"), "0 is not in the range"),
        (("--seconds", "nan"), "nan is no finite number"),
        (("--seconds", "inf"), "is not in the range"),
        (("--frames-per-second", "inf"), "inf is no finite number"),
        (("--segment-seconds", "nan"), "nan is no finite number"),
    ],
)
def test_plan_refuses_what_cannot_be(run: Run, arguments: tuple[str, ...], message: str) -> None:
    done = run("plan", "--videos", "10", "--seconds", "18", *arguments)

    assert done.code == 2
    assert message in done.err


def test_plan_refuses_segments_that_are_shorter_than_their_overlap(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDSEARCH_INDEX__SEGMENT_OVERLAP", "5")

    done = run("plan", "--videos", "10", "--seconds", "18", "--segment-seconds", "4")

    assert done.code == 2
    assert "segments of 4 s cannot overlap by 5 s" in done.err
