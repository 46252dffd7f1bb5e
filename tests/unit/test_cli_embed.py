"""``vidsearch embed`` as a person and as a script meet it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vidsearch.cli.root import main
from vidsearch.encoders import TorchEncoder, mean_unit
from vidsearch.media import open_decoder
from vidsearch.testing.checkpoints import random_clip_checkpoint
from vidsearch.testing.clips import write_clip

pytest.importorskip("torch")
pytest.importorskip("cv2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_clip_checkpoint(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(autouse=True)
def settings(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIDSEARCH_MODEL__NAME", str(folder))
    monkeypatch.setenv("VIDSEARCH_MODEL__DEVICE", "cpu")


def run(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["embed", *arguments])
    out, err = capfd.readouterr()
    return int(stop.value.code or 0), out, err


def test_text_is_printed_as_json(capfd: pytest.CaptureFixture[str], folder: Path) -> None:
    code, out, err = run(capfd, "text", "a red circle", "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    encoder = TorchEncoder(str(folder), device="cpu")
    np.testing.assert_allclose(
        answer["vector"], encoder.encode_text(["a red circle"])[0], atol=1e-6
    )
    assert answer["model"] == encoder.identity.to_meta()
    assert answer["tokens"] == encoder.count_tokens("a red circle")


def test_text_is_printed_as_a_table(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capfd, "text", "a red circle")
    assert (code, err) == (0, "")
    lines = dict(line.split("\t") for line in out.splitlines())
    assert lines["dims"] == "64"
    assert lines["norm"] == "1.000000"
    assert len(lines["first values"].split()) == 7


def test_video_is_printed_as_json(
    capfd: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", [i / 10 for i in range(25)], rate=10)
    code, out, err = run(capfd, "video", str(clip), "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    encoder = TorchEncoder(str(folder), device="cpu")
    (batch,) = open_decoder().frames(clip)
    np.testing.assert_allclose(answer["vector"], mean_unit(encoder.encode_frames(batch)), atol=1e-6)
    assert (answer["frames"], answer["duration"]) == (3, 2.5)


def test_out_writes_the_named_file(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, err = run(capfd, "text", "a red circle", "--json", "--out", "vector.bin")
    assert code == 0
    assert "64 floats to vector.bin" in err
    stored = np.load(tmp_path / "vector.bin")
    assert stored.dtype == np.float32
    np.testing.assert_allclose(stored, json.loads(out)["vector"], atol=1e-7)


def test_truncated_text_is_reported(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capfd, "text", "red " * 100, "--json")
    assert code == 0
    assert "the model reads the first 77" in err
    assert json.loads(out)["tokens"] > 77


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["text", "  "], 2, "the text is empty"),
        (["text"], 2, "Missing argument"),
        (["video", "nothing.mp4"], 1, "no such file: nothing.mp4"),
        (["video", "gopher://bucket/a.mp4"], 1, "no reader for the scheme 'gopher'"),
        (["video", "."], 1, "is a folder"),
        (["text", "a", "--out", "no/x.npy"], 1, "no/x.npy cannot be written: No such file or"),
    ],
)
def test_bad_input_is_reported_without_a_traceback(
    capfd: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    actual, out, err = run(capfd, *arguments)
    assert (actual, out) == (code, "")
    assert message in err
    assert "Traceback" not in err


def test_missing_checkpoint_is_reported(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDSEARCH_MODEL__NAME", "./nothing")
    code, _, err = run(capfd, "text", "a")
    assert code == 1
    assert err.startswith("Error: there is no folder './nothing'; set VIDSEARCH_MODEL__NAME")
