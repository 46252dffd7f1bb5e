"""Runs of fine-tuning: they learn, go on exactly after a break, stop early, check their state."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from vidsearch.errors import FineTuningError, ModelUnavailableError

np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402

from vidsearch.encoders import TorchEncoder  # noqa: E402
from vidsearch.encoders.checkpoint import Checkpoint, open_checkpoint  # noqa: E402
from vidsearch.encoders.precision import FramePrecision  # noqa: E402
from vidsearch.finetuning.checkpoint import write_checkpoint  # noqa: E402
from vidsearch.finetuning.examples import Examples, epoch_batches, step_count  # noqa: E402
from vidsearch.finetuning.loop import Loop  # noqa: E402
from vidsearch.finetuning.plan import Plan  # noqa: E402
from vidsearch.finetuning.run import Outcome, fine_tune  # noqa: E402
from vidsearch.finetuning.two_towers import TwoTowers  # noqa: E402
from vidsearch.finetuning.writing import save_state  # noqa: E402
from vidsearch.media.frames import FrameBatch  # noqa: E402
from vidsearch.testing.checkpoints import (  # noqa: E402
    random_clip_checkpoint,
    random_siglip_checkpoint,
)

pytestmark = pytest.mark.usefixtures("one_torch_thread")

CPU = torch.device("cpu")
PLAN = Plan(epochs=3, batch_size=4, piece_size=3, clip_rate=1e-3, patience=0, seed=5)
WORDS = ("red", "green", "blue", "dark", "pale", "grey", "black", "white")


class RunInterruptedError(Exception):
    """Raised in place of a process that ends."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return open_checkpoint(str(random_clip_checkpoint(tmp_path_factory.mktemp("clip"))))


def examples(words: Sequence[str] = WORDS, *, frames: int = 2) -> Examples:
    """Each word with pictures of a colour of its own."""
    drawn = np.random.default_rng(2)
    clips = [
        np.broadcast_to(colour, (frames, 32, 32, 3)).transpose(0, 3, 1, 2).copy()
        for colour in drawn.integers(0, 256, (len(words), 3), dtype=np.uint8)
    ]
    return Examples(
        [f"a {word} picture" for word in words],
        range(len(words)),
        [f"clip {word}" for word in words],
        lambda number: clips[number],
    )


def new_towers(checkpoint: Checkpoint) -> TwoTowers:
    return TwoTowers(checkpoint, device=CPU, precision="fp32")


def run(towers: TwoTowers, folder: Path, *, plan: Plan = PLAN, **options: Any) -> Outcome:
    return fine_tune(towers, examples(), examples(), plan, folder=folder, **options)


@pytest.mark.parametrize("make", [random_clip_checkpoint, random_siglip_checkpoint])
def test_towers_compute_the_vectors_of_the_encoder(make: Any, tmp_path: Path) -> None:
    folder = make(tmp_path / "checkpoint")
    towers = new_towers(open_checkpoint(str(folder)))
    encoder = TorchEncoder(str(folder), precision="fp32", device="cpu")
    captions, pairs = ["a red picture", "pictures, many of them"], examples(frames=3)
    frames = pairs.pictures(0).transpose(0, 2, 3, 1).copy()
    batch = FrameBatch(data=frames, pts_seconds=np.arange(3.0))

    mean = encoder.encode_frames(batch).mean(axis=0)

    np.testing.assert_allclose(
        towers.embedded_texts(captions), encoder.encode_text(captions), atol=1e-5
    )
    np.testing.assert_allclose(
        towers.embedded_videos([pairs.pictures(0)])[0], mean / np.linalg.norm(mean), atol=1e-5
    )


def test_written_checkpoint_has_the_vectors_of_the_trained_model(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    towers = new_towers(checkpoint)
    run(towers, tmp_path / "work")
    write_checkpoint(towers.model, tmp_path / "new", files_of=checkpoint.folder)

    before, after = (
        TorchEncoder(str(folder), precision="fp32", device="cpu").encode_text(["a red picture"])
        for folder in (checkpoint.folder, tmp_path / "new")
    )

    np.testing.assert_allclose(after, towers.embedded_texts(["a red picture"]), atol=1e-5)
    assert not np.allclose(after, before, atol=1e-3)


def test_checkpoint_without_a_scale_begins_with_the_usual_one(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint.folder, tmp_path / "towers-alone")
    weights = load_file(folder / "model.safetensors")
    del weights["logit_scale"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    towers = new_towers(open_checkpoint(str(folder)))

    assert towers.log_scale.item() == pytest.approx(2.6593, abs=1e-4)


def test_checkpoint_without_other_weights_is_refused(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint.folder, tmp_path / "half")
    weights = load_file(folder / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    with pytest.raises(ModelUnavailableError, match=r"lacks weights of the model \(visual_proj"):
        new_towers(open_checkpoint(str(folder)))


def test_towers_in_bf16_are_near_those_in_fp32(checkpoint: Checkpoint) -> None:
    words, pictures = ["a red picture"], [examples().pictures(0)]
    exact, half = (
        TwoTowers(checkpoint, device=CPU, precision=precision) for precision in ("fp32", "bf16")
    )

    for embed in ("embedded_texts", "embedded_videos"):
        items = words if embed == "embedded_texts" else pictures
        one, other = getattr(exact, embed)(items)[0], getattr(half, embed)(items)[0]
        assert one @ other > 0.999
        assert not np.array_equal(one, other)


def test_plain_attention_is_for_few_patches_in_bf16_alone(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def attention(precision: FramePrecision) -> str:
        towers: Any = TwoTowers(checkpoint, device=CPU, precision=precision)
        return str(towers.model.config._attn_implementation)

    assert (attention("bf16"), attention("fp32")) == ("eager", "sdpa")
    monkeypatch.setattr("vidsearch.encoders.towers._FEW_PATCHES", 15)  # it has 16
    assert attention("bf16") == "sdpa"


@pytest.mark.parametrize("last_step", [1, 2, 3])
def test_interrupted_and_resumed_run_equals_an_uninterrupted_one(
    checkpoint: Checkpoint, tmp_path: Path, last_step: int
) -> None:
    whole = new_towers(checkpoint)
    expected = run(whole, tmp_path / "whole")

    def interrupt(step: int, steps: int, last: object) -> None:
        if step == last_step:
            raise RunInterruptedError

    with pytest.raises(RunInterruptedError):
        run(new_towers(checkpoint), tmp_path / "parts", save_every=1, progress=interrupt)
    resumed = new_towers(checkpoint)
    outcome = run(resumed, tmp_path / "parts", save_every=1)

    assert outcome == expected
    assert len(outcome.epochs) == 4
    for name, weights in whole.model.state_dict().items():
        assert torch.equal(weights, resumed.model.state_dict()[name]), name


def test_state_of_an_epoch_that_was_not_saved_is_computed_again(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    whole = new_towers(checkpoint)
    expected = run(whole, tmp_path / "whole")

    def interrupt(step: int, steps: int, last: object) -> None:
        if step == 3:
            raise RunInterruptedError

    with pytest.raises(RunInterruptedError):
        run(new_towers(checkpoint), tmp_path / "parts", progress=interrupt)

    assert run(new_towers(checkpoint), tmp_path / "parts") == expected


def test_run_learns_its_pairs_and_piece_size_changes_nothing(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    plan = Plan(epochs=40, batch_size=8, piece_size=3, clip_rate=3e-3, patience=0)
    small = run(new_towers(checkpoint), tmp_path / "small", plan=plan)
    plan = Plan(epochs=40, batch_size=8, piece_size=8, clip_rate=3e-3, patience=0)
    large = run(new_towers(checkpoint), tmp_path / "large", plan=plan)

    assert small.epochs[0].recall < 0.6
    assert max(epoch.recall for epoch in small.epochs) > 0.9
    first = [epochs[1].loss for epochs in (small.epochs, large.epochs)]
    assert first[0] == pytest.approx(first[1], abs=1e-5)


def test_run_that_no_longer_improves_stops(checkpoint: Checkpoint, tmp_path: Path) -> None:
    # With rates of nothing no epoch is better than the first.
    plan = Plan(epochs=9, batch_size=4, clip_rate=0.0, scale_rate=0.0, patience=2)

    outcome = run(new_towers(checkpoint), tmp_path, plan=plan)

    assert outcome.stopped_early
    assert outcome.best == 3
    assert [epoch.number for epoch in outcome.epochs] == [0, 1, 2, 3]


def test_weights_of_the_best_epoch_are_kept(checkpoint: Checkpoint, tmp_path: Path) -> None:
    # Weights that are thrown about at the end of the run find less than those in its middle.
    plan = Plan(epochs=12, batch_size=8, clip_rate=3e-2, weight_decay=0.0, patience=0)
    towers, pairs = new_towers(checkpoint), examples()

    outcome = run(towers, tmp_path, plan=plan)

    best = outcome.epochs[outcome.best]
    assert best.recall == max(epoch.recall for epoch in outcome.epochs[1:])
    texts = towers.embedded_texts(pairs.captions)
    videos = towers.embedded_videos([pairs.pictures(number) for number in range(len(pairs))])
    scores = texts @ videos.T
    ranks = (scores > np.diagonal(scores)[:, None]).sum(axis=1) + 1
    assert ranks.mean() == pytest.approx(best.mean_rank, abs=0.5)


def test_finished_run_trains_no_more(checkpoint: Checkpoint, tmp_path: Path) -> None:
    expected = run(new_towers(checkpoint), tmp_path)
    steps: list[int] = []

    again = run(new_towers(checkpoint), tmp_path, progress=lambda step, *_: steps.append(step))

    assert again == expected
    assert steps == [6]


def test_state_of_another_run_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    run(new_towers(checkpoint), tmp_path)
    other = Plan(epochs=4, batch_size=4, piece_size=3, clip_rate=1e-3, patience=0, seed=5)

    with pytest.raises(FineTuningError, match=r"another run \(epochs: 3, now 4\)"):
        run(new_towers(checkpoint), tmp_path, plan=other)


def test_damaged_state_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes(b"half a file")

    with pytest.raises(FineTuningError, match=r"state\.pt cannot be read"):
        run(new_towers(checkpoint), tmp_path)


def test_place_that_cannot_be_written_to_is_named_before_training(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()

    with pytest.raises(FineTuningError, match=r"nothing can be written into .*file/work"):
        run(new_towers(checkpoint), file / "work")


def test_state_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(FineTuningError, match=r"gone/state\.pt cannot be written \(.+\): make"):
        save_state({"step": 1}, tmp_path / "gone" / "state.pt")


def test_one_pair_cannot_be_compared_with_another(checkpoint: Checkpoint, tmp_path: Path) -> None:
    one = examples(["red"])

    with pytest.raises(FineTuningError, match="there is 1"):
        fine_tune(new_towers(checkpoint), one, one, PLAN, folder=tmp_path)


def test_gradients_that_are_not_numbers_end_the_run() -> None:
    module = torch.nn.Linear(1, 1)
    scale = torch.nn.Parameter(torch.tensor(0.0))
    adam = torch.optim.AdamW([{"params": module.parameters(), "highest": 1.0}])
    loop = Loop({"module": module}, adam, rate=lambda step: 1.0, log_scale=scale)

    def backward() -> None:
        (module(torch.ones(1, 1)) * float("nan")).sum().backward()

    with pytest.raises(FineTuningError, match="step 0 are not numbers"):
        loop.advance(backward)


def test_every_example_is_seen_once_an_epoch_in_another_order() -> None:
    first, again = (list(epoch_batches(10, 4, seed=1, epoch=0)) for _ in range(2))
    second = list(epoch_batches(10, 4, seed=1, epoch=1))

    assert first == again != second
    assert [len(batch) for batch in first] == [4, 3, 3]
    assert sorted(chain(*first)) == sorted(chain(*second)) == list(range(10))


def test_no_batch_has_a_pair_alone() -> None:
    for number in range(2, 12):
        for size in range(2, 6):
            batches = list(epoch_batches(number, size, seed=0, epoch=0))
            assert len(batches) == step_count(number, size)
            assert min(map(len, batches)) >= 2


def test_captions_of_one_video_and_equal_captions_are_positive() -> None:
    pairs = Examples(["a", "b", "a", "c"], [0, 0, 1, 2], ["x", "y", "z"], examples().pictures)

    positive = pairs.positive([0, 1, 2, 3])

    assert positive.tolist() == [
        [True, True, True, False],
        [True, True, False, False],
        [True, False, True, False],
        [False, False, False, True],
    ]


def test_captions_of_two_copies_of_a_video_are_positive() -> None:
    pairs = Examples(["a", "b", "c"], [0, 1, 2], ["x", "x", "y"], examples().pictures)

    assert pairs.positive([0, 1, 2]).tolist() == [
        [True, True, False],
        [True, True, False],
        [False, False, True],
    ]


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"batch_size": 1}, {"warm_up": 1.5}, {"clip_rate": -1.0}]
)
def test_plan_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(FineTuningError, match=next(iter(wrong))):
        Plan(**wrong)
