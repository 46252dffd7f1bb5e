"""What the ONNX encoder keeps, what it refuses, and what an export consists of."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.exports import tiny_checkpoint, tiny_export

from vidsearch.config import IngestSettings, ModelSettings
from vidsearch.encoders import TorchEncoder, load_encoder
from vidsearch.encoders.onnx import OnnxEncoder, is_export, read_export
from vidsearch.encoders.onnx.encoder import VectorCache
from vidsearch.encoders.onnx.export import write_tokenizer
from vidsearch.encoders.onnx.layout import MANIFEST
from vidsearch.encoders.onnx.sessions import load_tokenizer
from vidsearch.errors import ConfigError, ModelUnavailableError
from vidsearch.media import FrameBatch


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_export(tmp_path_factory)


@pytest.fixture
def copy(export: Path, tmp_path: Path) -> Path:
    """An export to damage."""
    return Path(shutil.copytree(export, tmp_path / "copy"))


# The cache


def test_full_cache_drops_the_least_recently_used_text() -> None:
    cache = VectorCache(2)
    for index, text in enumerate("ab"):
        cache.put(text, np.full(3, index, dtype=np.float32))
    assert cache.get("a") is not None
    cache.put("c", np.zeros(3, dtype=np.float32))
    assert cache.get("b") is None
    assert cache.get("a") is not None
    assert len(cache) == 2


def test_a_cached_vector_is_read_only(export: Path) -> None:
    encoder = OnnxEncoder(export)
    first = encoder.encode_text(["a dog"])
    kept = first.copy()
    first[:] = 0
    encoder.encode_text(["a dog"])[:] = 0
    np.testing.assert_array_equal(encoder.encode_text(["a dog", "a dog"]), [kept[0], kept[0]])


def test_long_texts_and_a_cache_of_size_zero_cache_nothing() -> None:
    none, some = VectorCache(0), VectorCache(9)
    none.put("a", np.zeros(3, dtype=np.float32))
    some.put("a" * 1001, np.zeros(3, dtype=np.float32))
    assert (len(none), len(some)) == (0, 0)
    with pytest.raises(ValueError, match="-1"):
        VectorCache(-1)


# The export


def test_the_manifest_names_every_file(export: Path) -> None:
    named = {file.name for file in read_export(export).files()} | {MANIFEST}
    assert {path.name for path in export.iterdir()} == named


def test_the_tokenizer_is_saved_without_padding(export: Path) -> None:
    content = json.loads((export / "tokenizer.json").read_text())
    assert (content["padding"], content["truncation"]) == (None, None)


def test_the_tokenizer_is_the_same_in_its_shorter_form(
    export: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from transformers import AutoTokenizer

    merges = json.loads((export / "tokenizer.json").read_text(encoding="utf-8"))["model"]["merges"]
    assert all(isinstance(one, str) for one in merges)
    theirs = AutoTokenizer.from_pretrained(tiny_checkpoint(tmp_path_factory))
    ours = load_tokenizer(read_export(export))
    for text in ("a red circle", "naïve Übung 東京!", ""):
        assert ours.encode(text).ids == theirs(text)["input_ids"]


def test_a_merge_with_a_blank_in_it_keeps_the_usual_form(tmp_path: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import BPE

    tokenizer = Tokenizer(BPE({"a ": 0, "b": 1, "a b": 2}, [("a ", "b")]))
    write_tokenizer(tokenizer, tmp_path / "tokenizer.json")
    assert Tokenizer.from_file(str(tmp_path / "tokenizer.json")).to_str() == tokenizer.to_str()


def test_the_table_of_tokens_is_in_eight_bits_too(export: Path) -> None:
    towers = read_export(export).towers
    whole, narrow = (towers[precision]["text"].weights.size for precision in ("fp32", "int8"))
    assert narrow < 0.4 * whole


def test_int8_weights_of_products_use_seven_bits(export: Path) -> None:
    """Processors without VNNI add two products of eight bits in sixteen, which would overflow."""
    onnx = pytest.importorskip("onnx")
    for tower in ("text", "vision"):
        model = onnx.load(export / f"{tower}.int8.onnx")
        arrays = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
        weights = [
            arrays[node.input[1]] for node in model.graph.node if node.op_type == "MatMulInteger"
        ]
        assert weights
        assert all(array.dtype == np.int8 for array in weights)
        assert max(int(np.abs(array.astype(int)).max()) for array in weights) <= 64


def test_an_export_holds_no_path_of_the_machine(export: Path) -> None:
    for graph in export.glob("*.onnx"):
        assert not re.search(rb"\.py\W|site-packages", graph.read_bytes())


def test_all_files_of_an_export_have_the_same_mode(export: Path) -> None:
    modes = {path.stat().st_mode for path in export.iterdir()}
    assert len(modes) == 1


def test_an_index_of_the_checkpoint_takes_the_export(
    export: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    torch = TorchEncoder(
        str(tiny_checkpoint(tmp_path_factory)), device="cpu", rate=2, sampling="notebook"
    )
    ours = load_encoder(
        ModelSettings(name=str(export), precision="int8"),
        IngestSettings(fps=2, sampling="notebook"),
    )
    assert isinstance(ours, OnnxEncoder)
    torch.identity.require(ours.identity, where="index 'videos'")
    assert ours.identity.precision == "int8"


# What is refused


def _cut(folder: Path) -> None:
    file = folder / "text.fp32.onnx.data"
    os.truncate(file, file.stat().st_size - 1)


def _flip(folder: Path) -> None:
    file = folder / "text.fp32.onnx.data"
    content = bytearray(file.read_bytes())
    content[1000] ^= 1
    file.write_bytes(content)


def _older(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, "layout": 0}))


def _nameless(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["model"]["revision"]
    (folder / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_cut, "'text.fp32.onnx.data' of the export .* is not what was exported"),
        (_flip, "'text.fp32.onnx.data' of the export .* is not what was exported"),
        (lambda f: (f / "text.fp32.onnx").unlink(), "'text.fp32.onnx' .* is missing: copy the"),
        (lambda f: (f / "tokenizer.json").unlink(), "'tokenizer.json' .* is missing: copy the"),
        (lambda f: (f / MANIFEST).write_text("{"), "cannot be read: make it again"),
        (lambda f: (f / MANIFEST).write_text("[]"), "cannot be read: make it again"),
        (lambda f: (f / MANIFEST).unlink(), "holds no vidsearch-export.json: not made by"),
        (_older, "has the layout 0, but this version of vidsearch reads 2: make it again"),
        (_nameless, "lacks something or is damaged .'revision'"),
    ],
)
def test_a_damaged_export(copy: Path, damage: Callable[[Path], object], message: str) -> None:
    damage(copy)
    with pytest.raises(ModelUnavailableError, match=message):
        OnnxEncoder(copy).encode_text(["a dog"])


def test_no_manifest_is_no_export(copy: Path) -> None:
    assert is_export(copy)
    (copy / MANIFEST).unlink()
    assert not is_export(copy)


def test_a_search_does_without_the_other_tower_and_precision(copy: Path) -> None:
    for path in {*copy.glob("vision.*"), *copy.glob("*.fp32.*")}:
        path.unlink()
    encoder = OnnxEncoder(copy, precision="int8")
    assert encoder.encode_text(["a dog"]).shape == (1, 64)
    frames = FrameBatch(np.zeros((1, 4, 4, 3), dtype=np.uint8), np.zeros(1))
    with pytest.raises(ModelUnavailableError, match=r"vision\.int8\.onnx\.data.*is missing"):
        encoder.encode_frames(frames)


def test_a_precision_that_is_not_there(copy: Path) -> None:
    with pytest.raises(ConfigError, match="no precision 'bf16'; set VIDSEARCH_MODEL__PRECISION"):
        OnnxEncoder(copy, precision="bf16")
    manifest = json.loads((copy / MANIFEST).read_text())
    del manifest["towers"]["int8"]
    (copy / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ModelUnavailableError, match="holds fp32, not int8"):
        OnnxEncoder(copy, precision="int8").encode_text(["a dog"])


@pytest.mark.parametrize("absent", ["onnxruntime", "tokenizers"])
def test_missing_extra_is_reported_in_one_line(export: Path, absent: str) -> None:
    code = (
        f"import sys; sys.modules[{absent!r}] = None\n"
        "from vidsearch.cli.root import main\nmain(['embed', 'text', 'a dog'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "VIDSEARCH_MODEL__NAME": str(export)},
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("needs an extra: pip install 'vidsearch[query]'\n")
    assert done.stderr.count("\n") == 1
