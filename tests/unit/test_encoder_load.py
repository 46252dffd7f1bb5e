"""Which encoder the settings come to, ours or somebody else's."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vidsearch.config import IngestSettings, ModelSettings
from vidsearch.encoders import Encoder, TorchEncoder, load_encoder
from vidsearch.encoders.onnx import OnnxEncoder
from vidsearch.encoders.onnx.layout import MANIFEST
from vidsearch.errors import ConfigError, ModelUnavailableError
from vidsearch.testing.encoder_contract import EncoderContract

_GOOD = '''
import hashlib
import numpy as np
from vidsearch.encoders import ModelIdentity


class Colours:
    """Mean colour of a frame; three numbers drawn from a text."""

    context_length = 16

    def __init__(self, settings, ingest):
        self.settings, self.ingest = settings, ingest

    @property
    def identity(self):
        return ModelIdentity(
            name="acme-colours",
            revision="1",
            dims=4,
            image_size=1,
            sampling=f"{self.ingest.sampling}@{self.ingest.fps:g}fps",
        )

    def count_tokens(self, text):
        return len(text.split()) + 2

    def encode_text(self, texts):
        return self._unit([self._text(text) for text in texts])

    def encode_frames(self, frames):
        return self._unit([[*frame.mean((0, 1)), 1.0] for frame in frames.data])

    def _text(self, text):
        kept = " ".join(text.split()[: self.context_length - 2])
        digest = hashlib.sha256(kept.encode("utf-8", "replace")).digest()
        return np.frombuffer(digest[:4], np.uint8).astype(float) + 1

    def _unit(self, rows):
        rows = np.array(rows, dtype=float).reshape(-1, 4)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class Factories:
    colours = staticmethod(lambda settings, ingest: Colours(settings, ingest))


class Lazy(Colours):
    @property
    def identity(self):
        raise AssertionError("read while it was built")


class Passed:
    """Hands everything on to another object."""

    def __init__(self, settings, ingest):
        self.inner = Colours(settings, ingest)

    def __getattr__(self, name):
        return getattr(self.inner, name)


class Broken(Colours):
    def __init__(self, settings, ingest):
        raise RuntimeError("no licence\\nsecond line")


class NoLicence(Colours):
    def __init__(self, settings, ingest):
        from vidsearch.errors import ModelUnavailableError

        raise ModelUnavailableError("fetch the weights first")


class Half:
    identity = context_length = None

    def __init__(self, settings, ingest):
        pass


def no_arguments():
    return None


def a_class(settings, ingest):
    return Colours


nothing = None
'''
_numbers = itertools.count()
Package = Callable[[str], str]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """Writes a package with a module ``encoders`` and says how it is called."""

    def write(code: str) -> str:
        # Never imported before: modules stay in sys.modules.
        name = f"acme_{next(_numbers)}"
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
        (tmp_path / name / "encoders.py").write_text(code)
        monkeypatch.syspath_prepend(tmp_path)
        return f"{name}.encoders"

    return write


class TestAnEncoderOfSomebodyElse(EncoderContract):
    @pytest.fixture
    def encoder(self, package: Package) -> Encoder:
        return load_encoder(ModelSettings(encoder=f"{package(_GOOD)}:Colours"))


def test_custom_encoder_is_called_with_the_settings(package: Package) -> None:
    settings = ModelSettings(name="acme/colours", encoder=f"{package(_GOOD)}:Factories.colours")
    made = load_encoder(settings, IngestSettings(fps=2))
    assert made.identity.sampling == "played-at@2fps"
    assert vars(made)["settings"] is settings


@pytest.mark.parametrize("name", ["Lazy", "Passed"])
def test_check_of_a_custom_encoder_runs_no_method(package: Package, name: str) -> None:
    assert load_encoder(ModelSettings(encoder=f"{package(_GOOD)}:{name}")).context_length == 16


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Missing", "has no 'Missing'"),
        ("Factories.missing", r"has no 'Factories\.missing'"),
        ("nothing", "no class or function: NoneType"),
        ("Broken", "failed: RuntimeError: no licence$"),
        ("no_arguments", "failed: TypeError"),
        ("Half", "no Encoder: it lacks count_tokens, encode_text, encode_frames"),
        ("a_class", "no Encoder: it lacks identity"),
    ],
)
def test_object_that_is_no_encoder_is_refused(package: Package, name: str, message: str) -> None:
    dotted = f"{package(_GOOD)}:{name}"
    with pytest.raises(ConfigError, match=message) as caught:
        load_encoder(ModelSettings(encoder=dotted))
    assert str(caught.value).startswith(f"VIDSEARCH_MODEL__ENCODER is {dotted!r}, but ")


def test_vidsearch_errors_of_a_custom_encoder_are_raised_unchanged(package: Package) -> None:
    with pytest.raises(ModelUnavailableError, match="fetch the weights first"):
        load_encoder(ModelSettings(encoder=f"{package(_GOOD)}:NoLicence"))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import a_module_that_is_not_there", r"importing .* failed: ModuleNotFoundError: No mod"),
        ("1 / 0", r"importing .* failed: ZeroDivisionError: division by zero"),
        ("def f(:", r"importing .* failed: SyntaxError"),
    ],
)
def test_module_that_fails_to_import_is_reported(package: Package, code: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_encoder(ModelSettings(encoder=f"{package(code)}:Colours"))


@pytest.mark.parametrize("module", ["acme_nowhere.encoders", "acme_nowhere", "json.nowhere"])
def test_missing_module_is_reported(module: str) -> None:
    with pytest.raises(ConfigError, match=r"there is no module .*PYTHONPATH"):
        load_encoder(ModelSettings(encoder=f"{module}:Colours"))


@pytest.mark.parametrize("name", ["tensorflow", "acme.encoders.Colours", "a b:c", ":Colours"])
def test_unknown_encoder_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"there is no encoder.*package\.module:Name"):
        load_encoder(ModelSettings(encoder=name))


def test_auto_chooses_the_encoder_by_the_folder(tmp_path: Path) -> None:
    def kind(encoder: str) -> type:
        return type(load_encoder(ModelSettings(name=str(tmp_path), encoder=encoder)))

    assert [kind("auto"), kind("torch"), kind("onnx")] == [
        TorchEncoder,
        TorchEncoder,
        OnnxEncoder,
    ]
    (tmp_path / MANIFEST).write_text("{}")
    assert [kind("auto"), kind("torch"), kind("onnx")] == [
        OnnxEncoder,
        TorchEncoder,
        OnnxEncoder,
    ]


def test_int8_needs_an_export(tmp_path: Path) -> None:
    settings = ModelSettings(name=str(tmp_path), precision="int8")
    with pytest.raises(ConfigError, match=r"`vidsearch model export`.*VIDSEARCH_MODEL__NAME"):
        load_encoder(settings)
    (tmp_path / MANIFEST).write_text("{}")
    assert isinstance(load_encoder(settings), OnnxEncoder)


def test_loading_an_encoder_imports_no_heavy_package() -> None:
    import subprocess

    code = (
        "import sys; from vidsearch.config import ModelSettings;"
        "from vidsearch.encoders import load_encoder;"
        "encoder = load_encoder(ModelSettings(name='demo', device='cpu')); encoder.identity;"
        "print([m for m in ('torch', 'transformers', 'onnxruntime') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
