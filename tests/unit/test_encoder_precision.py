"""bf16: where it is taken, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vidsearch.encoders import TorchEncoder
from vidsearch.encoders import precision as precisions
from vidsearch.encoders.precision import cpu_has_bf16, frame_precision
from vidsearch.errors import ConfigError
from vidsearch.media import FrameBatch
from vidsearch.testing.checkpoints import random_clip_checkpoint

_X86 = "processor\t: {}\nflags\t\t: fpu sse4_2 avx512f {}\nbugs\t\t: spectre_v1\n\n"
_ARM = "processor\t: {}\nFeatures\t: fp asimd {}\nCPU part\t: 0xd40\n\n"


@pytest.mark.parametrize(
    ("text", "has"),
    [
        (_X86.format(0, "avx512_bf16") + _X86.format(1, "avx512_bf16 amx_bf16"), True),
        (_X86.format(0, "amx_tile amx_bf16"), True),
        (_X86.format(0, "avx512_vnni"), False),
        (_X86.format(0, "avx512_bf16") + _X86.format(1, "avx512_vnni"), False),
        (_X86.format(0, "no_avx512_bf16x"), False),
        (_ARM.format(0, "svebf16 i8mm bf16"), True),
        (_ARM.format(0, "svebf16"), False),
        ("", False),
    ],
)
def test_bf16_is_detected_by_the_flags_of_every_core(tmp_path: Path, text: str, has: bool) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(text)
    assert cpu_has_bf16(file) is has


def test_unknown_cpu_counts_as_without_bf16(tmp_path: Path) -> None:
    assert cpu_has_bf16(tmp_path / "none") is False


def test_detected_bf16_equals_that_of_torch() -> None:
    torch = pytest.importorskip("torch")
    if not Path("/proc/cpuinfo").exists() or not hasattr(torch.cpu, "get_capabilities"):
        pytest.skip("only Linux and a recent torch say what the CPU has")
    told = torch.cpu.get_capabilities()
    if told["architecture"] != "x86_64":
        pytest.skip("torch names the features of other CPUs differently")
    assert cpu_has_bf16() is (told["avx512_bf16"] or told["amx_bf16"])


@pytest.mark.parametrize(("has", "expected"), [(True, "bf16"), (False, "fp32")])
def test_auto_takes_bf16_where_the_hardware_has_it(
    monkeypatch: pytest.MonkeyPatch, has: bool, expected: str
) -> None:
    monkeypatch.setattr(precisions, "cpu_has_bf16", lambda: has)
    assert frame_precision("auto") == expected
    assert frame_precision("fp32") == "fp32"
    assert frame_precision("bf16") == "bf16"
    assert TorchEncoder("demo", device="cpu").identity.precision == expected


@pytest.mark.parametrize(("name", "message"), [("int8", "model export"), ("fp8", "no precision")])
def test_int8_and_unknown_precision_are_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TorchEncoder("demo", precision=name)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("models") / "vit-b-32"
    yield random_clip_checkpoint(folder, shape="vit-b-32", half=True)
    (folder / "model.safetensors").unlink()


def _frames(count: int) -> FrameBatch:
    # Pictures rather than noise, which is one and the same grey to the model.
    rng = np.random.default_rng(0)
    slope = np.linspace(-1, 1, 224).reshape(1, 1, -1, 1) * rng.normal(0, 60, (count, 1, 1, 3))
    slope = slope + np.linspace(-1, 1, 224).reshape(1, -1, 1, 1) * rng.normal(
        0, 60, (count, 1, 1, 3)
    )
    picture = (
        rng.uniform(0, 255, (count, 1, 1, 3)) + slope + rng.normal(0, 20, (count, 224, 224, 3))
    )
    return FrameBatch(picture.clip(0, 255).astype(np.uint8), np.arange(count, dtype=np.float64))


def _worst_cosine(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(1) / norms).min())


def test_bf16_vectors_stay_near_fp32_vectors(large: Path) -> None:
    frames = _frames(8)
    exact, rough = (
        TorchEncoder(str(large), device="cpu", precision=name) for name in ("fp32", "bf16")
    )
    one, other = (encoder.encode_frames(frames).astype(np.float64) for encoder in (exact, rough))
    assert _worst_cosine(one, other) >= 0.9995
    # All pictures are near each other to random weights; what tells them apart is what is left.
    centre = one.mean(0)
    assert _worst_cosine(one - centre, other - centre) >= 0.995
    assert not np.array_equal(one, other)
    np.testing.assert_allclose(np.linalg.norm(other, axis=1), 1.0, atol=1e-6)
    # One model to an index, and queries do not depend on it.
    assert exact.identity == rough.identity
    texts = ["a red circle", "two people walk a dog"]
    np.testing.assert_array_equal(exact.encode_text(texts), rough.encode_text(texts))
