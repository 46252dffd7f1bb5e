"""``vidsearch eval pairs`` as a person and as a script meet it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.command_line import Run, runner

from vidsearch.cli.left_out import tell_left_out
from vidsearch.demo import Shot, scenes, write_clip
from vidsearch.evaluation import LeftOut

pytest.importorskip("torch")
pytest.importorskip("av")

SCENES = scenes(3, seed=4, split="held_out")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    return runner(capsys)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number, scene in enumerate(SCENES):
        write_clip(folder / f"{number}.mp4", [Shot(scene=scene, seconds=2)], fps=4)
    return folder


@pytest.fixture
def vectors(tmp_path: Path) -> tuple[str, ...]:
    np.save(tmp_path / "t.npy", np.array([[1, 0], [0, 1], [1, 1]], np.float32))
    np.save(tmp_path / "v.npy", np.array([[2, 0], [0, 3], [-1, 0.1]], np.float32))
    return "--text-vectors", "t.npy", "--video-vectors", "v.npy"


def captions(folder: Path) -> str:
    rows = [f"{number}.mp4,{scene.caption}" for number, scene in enumerate(SCENES)]
    (folder / "c.csv").write_text("\n".join(["video,caption", *rows, "gone.mp4,nothing"]))
    return "c.csv"


def test_vectors_from_files_give_the_table(run: Run, vectors: tuple[str, ...]) -> None:
    done = run("eval", "pairs", *vectors, "--variant", "exact", "--variant", "binary")
    assert done.code == 0
    lines = [line.split("\t") for line in done.out.splitlines()]
    assert lines[0][:5] == ["direction", "model", "variant", "R@1", "R@5"]
    # (1, 1) is nearest to the first two, and farthest from its own.
    assert [line[:3] for line in lines[1:3]] == [
        ["text-to-video", "t", "exact"],
        ["text-to-video", "t", "binary"],
    ]
    assert lines[1][3].startswith("66.67 (")
    assert lines[1][7].startswith("1.67 (")
    assert [line[0] for line in lines[3:]] == ["video-to-text"] * 2


def test_several_captions_per_video_come_with_their_rows(
    run: Run, vectors: tuple[str, ...], tmp_path: Path
) -> None:
    np.save(tmp_path / "of.npy", np.array([2, 1, 2]))
    data = run("eval", "pairs", *vectors, "--video-of", "of.npy", "--json").data
    assert (data["captions"], data["videos"]) == (3, 3)
    to_video, to_text = data["rows"]
    assert (to_video["queries"], to_text["queries"]) == (3, 2)
    assert to_text["R@1"]["value"] == 0.5
    assert to_video["difference_from_first"] is None


def test_clips_and_captions_give_the_table_and_name_what_is_missing(
    run: Run, videos: Path, tmp_path: Path
) -> None:
    command = ["eval", "pairs", "--csv", captions(tmp_path), "--videos", str(videos)]
    command += ["--model", "demo"]
    done = run(*command, "--json")
    assert done.code == 0
    assert (done.data["captions"], done.data["decoded"]) == (3, 3)
    assert done.data["left_out"] == [{"video": "gone.mp4", "reason": f"no such file in {videos}"}]
    assert [row["R@1"]["value"] for row in done.data["rows"]] == [1.0, 1.0]
    assert "left out: 1" in done.err
    assert f"gone.mp4: no such file in {videos}" in done.err
    assert run(*command, "--json").data["decoded"] == 0
    assert (tmp_path / ".vidsearch" / "embeddings").is_dir()


def test_last_pairs_alone_are_taken(run: Run, videos: Path, tmp_path: Path) -> None:
    command = ["eval", "pairs", "--csv", captions(tmp_path), "--videos", str(videos)]
    (tmp_path / "only.txt").write_text("1.mp4\n2.mp4\n")
    data = run(*command, "--model", "demo", "--only", "only.txt", "--last", "1", "--json").data
    assert (data["captions"], data["decoded"], data["left_out"]) == (1, 1, [])


def test_report_shows_pictures_of_the_worst_queries(run: Run, videos: Path, tmp_path: Path) -> None:
    names = [f"{number}.mp4" for number in range(len(SCENES))]
    wrong = [f"{name},{scene.caption}" for name, scene in zip(names[1:], SCENES, strict=False)]
    (tmp_path / "wrong.csv").write_text("\n".join(["video,caption", *wrong]))
    command = ["eval", "pairs", "--csv", "wrong.csv", "--videos", str(videos), "--model", "demo"]
    done = run(*command, "--report", "page.html")
    assert done.code == 0, done.err
    assert "wrote page.html" in done.err
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Worst queries" in page
    assert page.count('class=right><img src="data:image/jpeg;base64,') >= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give --csv and --videos, or --text-vectors and --video-vectors"),
        (("--text-vectors", "t.npy"), "go together"),
        (("--text-vectors", "t.npy", "--video-vectors", "bad.npy"), "1 of 3 vectors have no"),
        (("--text-vectors", "t.npy", "--video-vectors", "wide.npy"), "have 2 dims"),
        (("--text-vectors", "t.npy", "--video-vectors", "short.npy"), "with --video-of which"),
        (("--text-vectors", "t.npy", "--video-vectors", "text.npy"), "is no .npy file"),
        (("--text-vectors", "t.npy", "--video-vectors", "half.npy"), "is no .npy file"),
        (
            ("--text-vectors", "t.npy", "--video-vectors", "v.npy", "--model", "demo"),
            "take the place of --model",
        ),
        (("--text-vectors", "t.npy", "--video-vectors", "v.npy", "--variant", "x"), "variant 'x'"),
    ],
)
def test_wrong_arguments_are_refused_with_the_reason(
    run: Run, vectors: tuple[str, ...], tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    np.save(tmp_path / "bad.npy", np.array([[1, 0], [0, 0], [1, 1]], np.float32))
    np.save(tmp_path / "wide.npy", np.ones((3, 4), np.float32))
    np.save(tmp_path / "short.npy", np.ones((2, 2), np.float32))
    (tmp_path / "text.npy").write_text("vectors")
    (tmp_path / "half.npy").write_bytes(b"PK\x03\x04 of an archive")
    done = run("eval", "pairs", *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_more_left_out_videos_than_are_shown_are_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tell_left_out([], part_of="the table")
    assert capsys.readouterr().err == ""

    tell_left_out([LeftOut(f"v{n}", "gone") for n in range(12)], part_of="training")

    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "left out: 12, and not part of training"
    assert lines[1:11] == [f"  v{n}: gone" for n in range(10)]
    assert lines[11:] == ["  … and 2 more; --json names all"]
