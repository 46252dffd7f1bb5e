"""``vidsearch model`` as a person and as a script meet it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.exports import demo_export, siglip_checkpoint, tiny_checkpoint, tiny_export

from vidsearch.cli.model_bench import bench_encoder
from vidsearch.cli.root import main
from vidsearch.encoders import TorchEncoder
from vidsearch.encoders.onnx import OnnxEncoder, is_export
from vidsearch.testing.fake_encoder import FakeEncoder


def run(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["model", *arguments])
    out, err = capfd.readouterr()
    return int(stop.value.code or 0), out, err


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIDSEARCH_MODEL__DEVICE", "cpu")


def test_show_describes_a_clip_checkpoint(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDSEARCH_MODEL__NAME", "demo")
    monkeypatch.setenv("VIDSEARCH_MODEL__PRECISION", "fp32")
    code, out, err = run(capfd, "show", "--json")
    assert (code, err) == (0, "")
    shown = json.loads(out)
    assert shown["identity"] == TorchEncoder("demo", precision="fp32").identity.to_meta()
    assert (shown["source"], shown["family"]) == ("shipped with vidsearch", "clip")
    assert (shown["precision"], shown["context_length"]) == ("fp32", 77)
    assert shown["versions"]["vidsearch"]


def test_show_describes_a_siglip_checkpoint(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    monkeypatch.setenv("VIDSEARCH_MODEL__NAME", str(siglip_checkpoint(tmp_path_factory)))
    code, out, err = run(capfd, "show", "--json")
    assert (code, err) == (0, "")
    shown = json.loads(out)
    assert (shown["family"], shown["dims"], shown["context_length"]) == ("siglip", 64, 64)
    assert shown["identity"]["frames"] == "squash-bicubic"


def test_show_describes_an_onnx_export(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = demo_export(tmp_path_factory)
    monkeypatch.setenv("VIDSEARCH_MODEL__NAME", str(folder))
    monkeypatch.setenv("VIDSEARCH_MODEL__PRECISION", "int8")
    code, out, err = run(capfd, "show")
    assert (code, err) == (0, "")
    shown = dict(line.split("\t") for line in out.splitlines())
    assert shown["precision"] == "int8"
    assert shown["source"] == f"ONNX export, folder {folder}"
    assert shown["identity.name"] == "demo"


def test_show_describes_a_custom_encoder(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "shown_encoder.py").write_text(
        "from vidsearch.testing.fake_encoder import FakeEncoder\n"
        "def make(model, ingest): return FakeEncoder()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("VIDSEARCH_MODEL__ENCODER", "shown_encoder:make")
    code, out, err = run(capfd, "show", "--json")
    assert (code, err) == (0, "")
    shown = json.loads(out)
    assert shown["encoder"] == "vidsearch.testing.fake_encoder.FakeEncoder"
    assert shown["source"] == "your own encoder"
    assert shown["made_by"] == "shown_encoder:make"
    assert shown["file"].endswith("fake_encoder.py")
    assert (shown["name"], shown["precision"]) == (FakeEncoder().identity.name, "fp32")
    assert shown["identity"] == FakeEncoder().identity.to_meta()


def test_export_writes_both_towers_and_names_the_folder(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    pytest.importorskip("onnxscript")
    checkpoint = tiny_checkpoint(tmp_path_factory)
    monkeypatch.setenv("VIDSEARCH_MODEL__NAME", str(checkpoint))
    code, out, err = run(capfd, "export", "--no-int8", "--json")
    assert code == 0
    made = json.loads(out)
    folder = tmp_path / f"{checkpoint.name}-onnx"
    assert folder.name == made["folder"]
    assert is_export(folder)
    assert {(one["tower"], one["precision"]) for one in made["towers"]} == {
        ("text", "fp32"),
        ("vision", "fp32"),
    }
    assert max(one["max_cosine_loss"] for one in made["towers"]) <= 1e-6
    assert "vision tower: compare fp32 with torch" in err
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_export_beyond_the_maximum_loss_writes_nothing(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    pytest.importorskip("onnxscript")
    monkeypatch.setenv("VIDSEARCH_MODEL__NAME", str(tiny_checkpoint(tmp_path_factory)))
    code, out, err = run(capfd, "export", "--out", "made", "--max-loss", "1e-9")
    assert (code, out) == (1, "")
    assert "of cosine in int8, more than 1e-09; nothing was written" in err
    assert list(tmp_path.iterdir()) == []


def test_export_of_an_export_or_into_a_foreign_folder_is_refused(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    monkeypatch.setenv("VIDSEARCH_MODEL__NAME", str(tiny_export(tmp_path_factory)))
    code, _, err = run(capfd, "export")
    assert code == 2
    assert "is an export already" in err

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("dear")
    monkeypatch.setenv("VIDSEARCH_MODEL__NAME", "demo")
    code, _, err = run(capfd, "export", "--out", "mine")
    assert code == 1
    assert "'mine' exists and is no finished export" in err
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "dear"


def test_bench_prints_frames_and_queries_per_second(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    monkeypatch.setenv("VIDSEARCH_MODEL__NAME", str(tiny_export(tmp_path_factory)))
    code, out, _ = run(capfd, "bench", "--seconds", "0.1", "--json")
    assert code == 0
    timed: dict[str, Any] = json.loads(out)
    assert timed["frames_per_second_batch_1"] > 0
    assert timed["frames_per_second_batch_8"] > 0
    assert 0 < timed["query_p50_ms"] <= timed["query_p95_ms"]


def test_bench_encodes_no_text_twice(tmp_path_factory: pytest.TempPathFactory) -> None:
    asked: list[str] = []

    class Noting(OnnxEncoder):
        def encode_text(self, texts: Any) -> Any:
            asked.extend(texts)
            return super().encode_text(texts)

    bench_encoder(Noting(tiny_export(tmp_path_factory)), batch_size=1, seconds=0.2)
    assert len(asked) == len(set(asked)) > 10
