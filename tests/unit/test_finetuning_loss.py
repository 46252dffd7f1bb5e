"""The loss of fine-tuning, its gradients, gradient caching, rates and groups of parameters."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from vidsearch.finetuning.caching import backward_in_pieces  # noqa: E402
from vidsearch.finetuning.loss import (  # noqa: E402
    cap_scale,
    contrastive_loss,
    pooled_videos,
    unit,
)
from vidsearch.finetuning.parameters import new_adam  # noqa: E402
from vidsearch.finetuning.schedule import warm_up_cosine  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_torch_thread")

PAIRS = 6


def pairs_alone(number: int = PAIRS) -> Any:
    return torch.eye(number, dtype=torch.bool)


def reference_loss(videos: Any, texts: Any, scale: Any) -> Any:
    """CLIP4Clip's, written out: cross-entropy over rows and over columns."""
    logits = scale * videos @ texts.T
    target = torch.arange(len(logits))
    cross_entropy = torch.nn.functional.cross_entropy
    return (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2


class Towers(torch.nn.Module):  # type: ignore[misc]
    """Two linear towers with dropout in the first, and a learned scale."""

    def __init__(self, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.video = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Dropout(dropout))
        self.text = torch.nn.Linear(3, 4)
        self.scale = torch.nn.Parameter(torch.tensor(1.5))

    def loss(self, videos: Any, texts: Any) -> Any:
        return contrastive_loss(self.scale.exp() * videos @ texts.T, pairs_alone(len(videos)))

    def backward(self, inputs: tuple[Any, Any], sizes: tuple[int, int], **options: Any) -> Any:
        def pieces(tower: Any, whole: Any, size: int) -> list[Any]:
            return [lambda part=part: unit(tower(part)) for part in whole.split(size)]

        return backward_in_pieces(
            pieces(self.video, inputs[0], sizes[0]),
            pieces(self.text, inputs[1], sizes[1]),
            self.loss,
            **options,
        )

    def gradients(self) -> list[Any]:
        return [parameter.grad.clone() for parameter in self.parameters()]


def new_towers(**options: Any) -> Towers:
    torch.manual_seed(3)
    return Towers(**options)


def inputs() -> tuple[Any, Any]:
    torch.manual_seed(4)
    return torch.randn(PAIRS, 5), torch.randn(PAIRS, 3)


def test_loss_and_gradients_of_pairs_equal_plain_cross_entropy() -> None:
    ours, theirs = new_towers(), new_towers()
    videos, texts = inputs()

    loss = ours.loss(unit(ours.video(videos)), unit(ours.text(texts)))
    expected = reference_loss(
        unit(theirs.video(videos)), unit(theirs.text(texts)), theirs.scale.exp()
    )
    loss.backward()
    expected.backward()

    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    for own, other in zip(ours.gradients(), theirs.gradients(), strict=True):
        torch.testing.assert_close(own, other, atol=1e-5, rtol=0)


def test_other_captions_of_a_video_are_not_pushed_away() -> None:
    similarity = torch.tensor([[3.0, 3.0, -1.0], [0.0, 0.0, 2.0]], requires_grad=True)
    positive = torch.tensor([[True, True, False], [False, False, True]])

    loss = contrastive_loss(similarity, positive)
    loss.backward()

    assert similarity.grad is not None
    assert (similarity.grad[positive] < 0).all()
    # Each of the two captions against the third alone: the other one is not in the denominator.
    rows = (math.log(1 + math.exp(-4)) + math.log(1 + 2 * math.exp(-2))) / 2
    columns = (2 * math.log(1 + math.exp(-3)) + math.log(1 + math.exp(-3))) / 3
    assert loss.item() == pytest.approx((rows + columns) / 2, abs=1e-6)


def test_batch_without_negatives_has_gradients_that_are_numbers() -> None:
    similarity = torch.tensor([[2.0, 1.0]], requires_grad=True)

    loss = contrastive_loss(similarity, torch.ones(1, 2, dtype=torch.bool))
    loss.backward()

    assert loss.item() == 0.0
    assert similarity.grad is not None
    assert similarity.grad.tolist() == [[0.0, 0.0]]


def test_vector_of_a_video_is_the_unit_mean_of_unit_frames() -> None:
    frames = torch.tensor([[3.0, 0.0], [0.0, 0.5], [0.0, 2.0]])

    videos = pooled_videos(frames, torch.tensor([1, 0, 1]), 2)

    half = math.sqrt(0.5)
    torch.testing.assert_close(videos, torch.tensor([[0.0, 1.0], [half, half]]))


@pytest.mark.parametrize("sizes", [(2, 3), (PAIRS, 1), (4, PAIRS)])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_gradients_in_pieces_equal_those_of_the_pieces_at_once(
    sizes: tuple[int, int], dropout: float
) -> None:
    whole, cached = new_towers(dropout=dropout), new_towers(dropout=dropout)
    videos, texts = inputs()

    torch.manual_seed(9)
    # The same pieces, so that dropout draws the same numbers, but one graph.
    expected = whole.loss(
        torch.cat([unit(whole.video(part)) for part in videos.split(sizes[0])]),
        torch.cat([unit(whole.text(part)) for part in texts.split(sizes[1])]),
    )
    expected.backward()
    torch.manual_seed(9)
    loss = cached.backward((videos, texts), sizes)

    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    for own, other in zip(cached.gradients(), whole.gradients(), strict=True):
        torch.testing.assert_close(own, other, atol=1e-5, rtol=0)


def test_random_numbers_go_on_after_pieces_as_if_each_had_been_computed_once() -> None:
    towers, (videos, texts) = new_towers(dropout=0.4), inputs()

    torch.manual_seed(9)
    for part in videos.split(2):
        towers.video(part)
    expected = torch.rand(3)
    torch.manual_seed(9)
    towers.backward((videos, texts), (2, PAIRS))

    assert torch.equal(torch.rand(3), expected)


def test_gradients_of_two_devices_add_up_to_those_of_the_whole_batch() -> None:
    whole, devices = new_towers(), [new_towers(), new_towers()]
    videos, texts = inputs()
    whole.backward((videos, texts), (PAIRS, PAIRS))
    shares = {0: slice(0, 2), 1: slice(2, PAIRS)}
    together = threading.Barrier(2, timeout=60)
    given: dict[int, list[Any]] = {0: [], 1: []}

    def run(number: int) -> None:
        def gather(tensor: Any) -> tuple[Any, int]:
            given[number].append(tensor)
            together.wait()
            turn = len(given[number]) - 1
            return torch.cat([given[0][turn], given[1][turn]]), shares[number].start

        share = shares[number]
        devices[number].backward((videos[share], texts[share]), (1, 2), gather=gather)

    threads = [threading.Thread(target=run, args=(number,)) for number in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for name, parameter in whole.named_parameters():
        parts = [dict(towers.named_parameters())[name].grad for towers in devices]
        total = parts[0] if name == "scale" else parts[0] + parts[1]
        torch.testing.assert_close(total, parameter.grad, atol=1e-5, rtol=0)


def test_scale_is_capped_and_smaller_ones_are_left_alone() -> None:
    large, small = torch.tensor(9.0), torch.tensor(2.0)

    cap_scale(large)
    cap_scale(small)

    assert large.exp().item() == pytest.approx(100.0)
    assert small.item() == 2.0


def test_rate_rises_to_the_cosine_and_ends_near_nothing() -> None:
    rates = [warm_up_cosine(step, steps=100, warm_up=10) for step in range(100)]

    assert rates[0] == pytest.approx(0.1)
    assert rates[4] == pytest.approx(0.5 * (0.5 + 0.5 * math.cos(math.pi * 0.04)))
    assert rates[9] == max(rates) == pytest.approx(0.5 + 0.5 * math.cos(math.pi * 0.09))
    assert rates[50] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(0.5 - 0.5 * math.cos(math.pi * 0.01))


def test_rate_warms_up_again_where_a_part_begins() -> None:
    def rate(step: int) -> float:
        return warm_up_cosine(step, steps=100, warm_up=10, starts=(0, 40))

    assert rate(39) == pytest.approx(0.5 + 0.5 * math.cos(math.pi * 0.39))
    assert rate(40) == pytest.approx(0.1 * (0.5 + 0.5 * math.cos(math.pi * 0.40)))
    assert rate(49) == pytest.approx(0.5 + 0.5 * math.cos(math.pi * 0.49))


def test_run_without_warm_up_begins_at_the_highest_rate() -> None:
    assert warm_up_cosine(0, steps=10, warm_up=0) == 1.0


def test_weights_of_clip_have_the_lower_rate_and_only_matrices_decay() -> None:
    towers = new_towers()
    own = [*towers.video.parameters(), *towers.text.parameters()]

    adam = new_adam(own, [towers.scale], own_rate=1e-7, new_rate=1e-4, weight_decay=0.2)

    found = [
        ([tuple(p.shape) for p in group["params"]], group["highest"], group["weight_decay"])
        for group in adam.param_groups
    ]
    assert found == [
        ([(4, 5), (4, 3)], 1e-7, 0.2),
        ([(4,), (4,)], 1e-7, 0.0),
        ([()], 1e-4, 0.0),
    ]
