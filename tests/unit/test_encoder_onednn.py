"""Linear layers through oneDNN: the same products, and only where it pays."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from vidsearch.encoders import onednn  # noqa: E402
from vidsearch.encoders.onednn import OneDnnLinear, use_faster_linear  # noqa: E402


def tower() -> torch.nn.Module:
    torch.manual_seed(1)
    return torch.nn.Sequential(
        torch.nn.Linear(48, 96),
        torch.nn.GELU(),
        torch.nn.Sequential(torch.nn.Linear(96, 24, bias=False)),
    ).eval()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 48), (7, 48), (2, 50, 48)])
def test_swapped_layer_gives_the_same_results(bias: bool, shape: tuple[int, ...]) -> None:
    layer = torch.nn.Linear(48, 96, bias=bias)
    x = torch.randn(*shape)
    with torch.inference_mode():
        torch.testing.assert_close(OneDnnLinear(layer)(x), layer(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("faster", [True, False])
def test_all_layers_are_swapped_where_it_is_faster(
    monkeypatch: pytest.MonkeyPatch, faster: bool
) -> None:
    monkeypatch.setattr(
        onednn,
        "_seconds",
        lambda layer, x: 1.0 + isinstance(layer, OneDnnLinear) * (-0.5 if faster else 0.5),
    )
    model, x = tower(), torch.randn(5, 48)
    with torch.inference_mode():
        before = model(x)
        assert use_faster_linear(model) is faster
        torch.testing.assert_close(model(x), before, rtol=1e-5, atol=1e-5)
    kinds = {type(module).__name__ for module in model.modules()} & {"Linear", "OneDnnLinear"}
    assert kinds == {"OneDnnLinear" if faster else "Linear"}


def test_torch_without_the_operator_swaps_no_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: OneDnnLinear, x: object) -> object:
        raise RuntimeError("mkldnn_linear: not compiled with MKLDNN")

    monkeypatch.setattr(OneDnnLinear, "forward", refuse)
    model = tower()
    assert not use_faster_linear(model)
    assert isinstance(model[0], torch.nn.Linear)


def test_layers_that_disagree_are_not_swapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OneDnnLinear, "forward", lambda self, x: torch.zeros(len(x), 96))
    assert not use_faster_linear(tower())


def test_tower_without_linear_layers_is_unchanged() -> None:
    assert not use_faster_linear(torch.nn.GELU())
