"""``vidsearch finetune``: the demo checkpoint learns words that it never saw, from real files."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.command_line import Run, runner

from vidsearch.demo import Scene, Shot, write_clip

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("av")

from vidsearch.encoders import TorchEncoder  # noqa: E402

WORDS = {"red": "rubrum", "blue": "caeruleum", "yellow": "flavum", "green": "viride"}
SHAPES = ("circle", "square", "star", "heart", "ring", "cross")
TESTED, CHOSEN_BY = "heart", "cross"
RATES = (
    "--clip-rate",
    "2e-3",
    "--epochs",
    "20",
    "--batch-size",
    "8",
    "--piece-size",
    "4",
    "--threads",
    "1",
)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    # The same numbers on every CPU.
    monkeypatch.setenv("VIDSEARCH_MODEL__PRECISION", "fp32")
    return runner(capsys)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of each colour and shape, and the captions of all."""
    folder = tmp_path_factory.mktemp("videos")
    rows = ["video,caption"]
    for colour, word in WORDS.items():
        for shape in SHAPES:
            scene = Scene(
                shape=shape, colour=colour, count=1, size="large", texture="solid",
                background="black",
            )  # fmt: skip
            name = f"{colour}-{shape}.mp4"
            write_clip(folder / name, [Shot(scene=scene, seconds=1)], fps=2, width=96, height=96)
            rows.append(f"{name},{word}")
    (folder / "captions.csv").write_text("\n".join([*rows, "gone.mp4,nothing"]))
    for name, shape in (("test", TESTED), ("validation", CHOSEN_BY)):
        names = [f"{colour}-{shape}.mp4" for colour in WORDS]
        (folder / f"{name}.txt").write_text("\n".join(names))
    return folder


def command(videos: Path, *more: str) -> list[str]:
    chosen = ["--csv", str(videos / "captions.csv"), "--videos", str(videos), "--model", "demo"]
    return ["finetune", *chosen, "--output", "better", *RATES, *more]


def test_new_words_are_learned_and_the_checkpoint_with_its_card_loads(
    run: Run, videos: Path, tmp_path: Path
) -> None:
    splits = "--test", str(videos / "test.txt"), "--validation", str(videos / "validation.txt")
    done = run(*command(videos, *splits, "--patience", "0", "--json"))

    assert done.code == 0, done.err
    before, after = (row["R@1"]["value"] for row in done.data["rows"][:2])
    assert before < 0.5 < 0.9 < after
    assert done.data["left_out"] == [{"video": "gone.mp4", "reason": f"no such file in {videos}"}]
    assert done.data["decoded"] == 24

    encoder = TorchEncoder(str(tmp_path / "better"), device="cpu", precision="fp32")
    assert encoder.identity.name == "local"
    assert encoder.identity.revision != TorchEncoder("demo").identity.revision
    assert encoder.encode_text(["rubrum"]).shape == (1, 512)
    card = (tmp_path / "better" / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: transformers\ntags: [clip,")
    for said in (
        "# demo, fine-tuned", "## Figures on the test split", "| text-to-video | after | 100.00",
        "- Captions: `captions.csv`", "- test: 4 captions of 4 videos", "- clip_rate: 0.002",
        TorchEncoder("demo").identity.revision,
    ):  # fmt: skip
        assert said in card
    assert {path.name for path in tmp_path.iterdir()} == {".vidsearch", "better", "better.work"}


def test_second_run_decodes_nothing_and_takes_what_was_trained(
    run: Run, videos: Path, tmp_path: Path
) -> None:
    first = run(*command(videos, "--epochs", "1", "--json"))
    assert first.code == 0, first.err
    (tmp_path / "better").rename(tmp_path / "kept")

    again = run(*command(videos, "--epochs", "1", "--json"))

    assert again.code == 0, again.err
    assert (again.data["decoded"], first.data["decoded"]) == (0, 24)
    assert again.data["epochs"] == first.data["epochs"]
    weights = [tmp_path / name / "model.safetensors" for name in ("kept", "better")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_table_is_printed_and_says_where_the_checkpoint_is(run: Run, videos: Path) -> None:
    done = run(*command(videos, "--epochs", "1"))

    assert done.code == 0, done.err
    assert [line.split("\t")[:2] for line in done.out.splitlines()[1:3]] == [
        ["text-to-video", "before"],
        ["text-to-video", "after"],
    ]
    assert "wrote better: the weights after epoch 1" in done.err
    assert "gone.mp4: no such file" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--output", "."), "is there already"),
        (("--batch-size", "1"), "a batch needs two pairs"),
        (("--validation", "test.txt", "--test", "test.txt"), "both for validation and for the"),
        (("--test", "unknown.txt"), "1 of 1 videos that were asked for have no caption: nobody"),
        (("--validation", "all.txt"), "no video is left for training"),
        (("--model", "/nowhere"), "no folder '/nowhere'"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_trained(
    run: Run, videos: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "test.txt").write_text((videos / "test.txt").read_text())
    (tmp_path / "unknown.txt").write_text("nobody.mp4\n")
    names = sorted(path.name for path in videos.glob("*.mp4"))
    (tmp_path / "all.txt").write_text("\n".join(names))

    done = run(*command(videos, *arguments))

    assert done.code in (1, 2)
    assert message in done.err
    assert not (tmp_path / "better").exists()
    assert not (tmp_path / "better.work").exists()
