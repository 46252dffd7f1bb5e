"""Two processes of ``accelerate launch`` train as one does: real processes, joined by gloo."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.command_line import runner

from vidsearch.demo import Scene, Shot, write_clip
from vidsearch.errors import ConfigError, FineTuningError, MissingExtraError

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("av")
pytest.importorskip("accelerate")

from safetensors.torch import load_file  # noqa: E402
from tests import launched_finetuning as launched  # noqa: E402

from vidsearch.encoders.checkpoint import open_checkpoint  # noqa: E402
from vidsearch.finetuning.devices import Devices, open_devices  # noqa: E402
from vidsearch.finetuning.run import Outcome, fine_tune  # noqa: E402
from vidsearch.testing.checkpoints import random_clip_checkpoint  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_torch_thread")

ROOT = Path(__file__).parents[2]
ALONE = Devices(torch.device("cpu"))
LAUNCH = [
    "--multi_gpu", "--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no",
    "--dynamo_backend", "no", "--main_process_port", "0", "--num_cpu_threads_per_process", "1",
    "-m", "tests.launched_finetuning",
]  # fmt: skip
CLIPS = [
    (colour, shape) for colour in ("red", "blue", "yellow", "green") for shape in ("star", "ring")
]


class RunInterruptedError(Exception):
    """Raised in place of a process that ends."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, a run that one process began, clips, and what two processes made of them."""
    folder = tmp_path_factory.mktemp("launched")
    random_clip_checkpoint(folder / launched.CHECKPOINT)
    with pytest.raises(RunInterruptedError):
        alone(folder, work=launched.INTERRUPTED, last_step=1)
    draw(folder / launched.VIDEOS)
    launch(folder)
    return folder


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Any]:
    kept: dict[str, Any] = torch.load(folder / launched.FOUND, weights_only=True)
    assert kept["processes"] == 2
    return kept


def alone(folder: Path, *, work: str, last_step: int | None = None) -> tuple[Any, Outcome]:
    """The same run in one process; it ends with an exception after a step, if one is named."""

    def interrupt(step: int, steps: int, last: object) -> None:
        if step == last_step:
            raise RunInterruptedError

    towers, pairs = launched.new_towers(folder, ALONE), launched.examples()
    outcome = fine_tune(
        towers, pairs, pairs, launched.PLAN, folder=folder / work, save_every=1, progress=interrupt
    )
    return towers.model, outcome


def draw(videos: Path) -> None:
    videos.mkdir()
    rows = ["video,caption"]
    for colour, shape in CLIPS:
        scene = Scene(
            shape=shape, colour=colour, count=1, size="large", texture="solid", background="black"
        )
        name = f"{colour}-{shape}.mp4"
        write_clip(videos / name, [Shot(scene=scene, seconds=1)], fps=2, width=96, height=96)
        rows.append(f"{name},ein {shape} in {colour}")
    (videos / "captions.csv").write_text("\n".join([*rows, "gone.mp4,nothing"]))


def launch(folder: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HOME": str(folder / "no-configuration-of-accelerate"),
        "OMP_NUM_THREADS": "1",
        "VIDSEARCH_MODEL__PRECISION": "fp32",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "accelerate.commands.launch", *LAUNCH, str(folder)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said, _ = process.communicate(timeout=240)
    finally:
        process.terminate()  # which ends the launched ones as well
        process.wait()
    assert process.returncode == 0, said
    (folder / "said.txt").write_text(said, encoding="utf-8")


def test_gradients_of_two_processes_equal_those_of_the_whole_batch(
    folder: Path, found: dict[str, Any]
) -> None:
    loss, gradients = launched.loss_and_gradients(folder, ALONE)

    assert found["loss"] == pytest.approx(loss, abs=1e-5)
    assert found["gradients"].keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(found["gradients"][name], gradient, atol=1e-5, rtol=0, msg=name)
    assert gradients["logit_scale"].abs() > 1e-3


def test_two_processes_go_on_with_the_run_of_one_as_it_would_have(
    folder: Path, found: dict[str, Any]
) -> None:
    model, outcome = alone(folder, work="uninterrupted")

    for ours, theirs in zip(found["epochs"], outcome.epochs, strict=True):
        assert ours == pytest.approx(tuple(theirs), abs=1e-4)
    assert distance(found["weights"], model.state_dict(), folder / launched.CHECKPOINT) < 0.02


def test_command_of_two_processes_writes_the_checkpoint_of_one(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDSEARCH_MODEL__PRECISION", "fp32")
    done = runner(capsys)(*launched.arguments(folder, output="one", cache="frames-of-one"))
    assert done.code == 0, done.err

    one, two = (load_file(folder / name / "model.safetensors") for name in ("one", "two"))

    assert distance(two, one, open_checkpoint("demo").folder) < 0.02
    cards = [(folder / name / "README.md").read_text(encoding="utf-8") for name in ("one", "two")]
    trained_on = [line for line in cards[0].splitlines() if "SHA-256" in line]
    assert trained_on[0] in cards[1]


def test_one_process_of_two_reports_and_each_video_is_decoded_once(folder: Path) -> None:
    said = (folder / "said.txt").read_text(encoding="utf-8")

    assert said.count("text-to-video\tafter") == 1
    assert said.count(f"wrote {folder / 'two'}") == 1
    assert "8 videos decoded, the others' frames were kept" in said
    assert "gone.mp4: no such file" in said
    assert len(list((folder / launched.CACHE).rglob("*.npy"))) == len(CLIPS)
    assert not list((folder / launched.CACHE).rglob("*.tmp"))


def distance(some: dict[str, Any], others: dict[str, Any], base: Path) -> float:
    """How far two models are from each other, as a share of how far they were trained.

    Without the biases of keys: a softmax does not change with them, so that their gradients are
    rounding errors, which Adam takes for a direction.
    """
    start = load_file(base / "model.safetensors")
    apart = trained = 0.0
    for name, weights in others.items():
        if name in start and not name.endswith("k_proj.bias"):
            apart += (some[name].float() - weights.float()).square().sum().item()
            trained += (weights.float() - start[name].float()).square().sum().item()
    assert trained > 0
    return float((apart / trained) ** 0.5)


# -- what cannot be


def test_more_processes_than_pairs_of_a_batch_are_refused(folder: Path, tmp_path: Path) -> None:
    many = Devices(torch.device("cpu"))
    many.count = 4
    towers, pairs = launched.new_towers(folder, ALONE), launched.examples()

    with pytest.raises(FineTuningError, match="a batch of 3 pairs cannot be shared by 4 processes"):
        fine_tune(towers, pairs, pairs, launched.PLAN, folder=tmp_path, devices=many)


@pytest.fixture
def launched_as_one_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of the first of two processes."""
    said = {
        "WORLD_SIZE": "2", "RANK": "0", "LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": "0",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    for name, value in said.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("launched_as_one_of_two")
class TestOneOfTwo:
    def test_device_that_there_is_once_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="'mps', and several processes cannot share it"):
            open_devices("mps", threads=1)

    @pytest.mark.parametrize(("number", "processes"), [("0", "2"), ("1", "")])
    def test_more_processes_than_cards_are_refused(
        self, monkeypatch: pytest.MonkeyPatch, number: str, processes: str
    ) -> None:
        monkeypatch.setenv("LOCAL_RANK", number)
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)

        with pytest.raises(ConfigError, match=r"2 processes were launched .* has 1 card"):
            open_devices("auto", threads=1)

    def test_without_accelerate_the_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "accelerate", None)

        with pytest.raises(MissingExtraError, match=r"pip install 'vidsearch\[accelerate\]'"):
            open_devices("auto", threads=1)

    def test_what_the_launcher_did_not_say_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("MASTER_ADDR")
        monkeypatch.setenv("RANK", "")

        with pytest.raises(ConfigError, match=r"WORLD_SIZE=2 .* lacks RANK, MASTER_ADDR: start"):
            open_devices("auto", threads=1)

    @pytest.mark.parametrize("said", ["many", "0", "-1", "2.5"])
    def test_number_of_processes_that_is_none_is_refused(
        self, monkeypatch: pytest.MonkeyPatch, said: str
    ) -> None:
        monkeypatch.setenv("WORLD_SIZE", said)

        with pytest.raises(ConfigError, match=rf"WORLD_SIZE='{said}' is not a number from 1 on"):
            open_devices("auto", threads=1)

    def test_place_to_join_that_cannot_be_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from accelerate import PartialState

        monkeypatch.setenv("MASTER_PORT", "70000")
        try:
            with pytest.raises(ConfigError, match=r"joined at 127\.0\.0\.1:70000, .*\(port must"):
                open_devices("cpu", threads=1)
        finally:
            PartialState._reset_state()


@pytest.mark.parametrize("number", [1, 2, 7])
def test_shares_of_all_processes_are_the_whole_in_its_order(number: int) -> None:
    items = ["a", "b", "c", "d", "e"]
    shared: list[str] = []
    for each in range(number):
        devices = Devices(torch.device("cpu"))
        devices.number, devices.count = each, number
        shared += devices.share(items)

    assert shared == items
