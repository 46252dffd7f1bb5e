"""Checkpoints with random weights: the real shapes, file formats and sizes, no download."""

from __future__ import annotations

import itertools
import json
import shutil
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

__all__ = [
    "clip_vocabulary",
    "random_clip_checkpoint",
    "random_siglip_checkpoint",
    "turned_demo_checkpoint",
]

_START, _END = "<|startoftext|>", "<|endoftext|>"
_WORD_END = "</w>"
_CHARACTERS = string.ascii_letters + string.digits + string.punctuation
_SIGLIP_SIDE = 32
_SHAPES: dict[str, dict[str, Any]] = {
    "vit-b-32": {"vocabulary": 49408, "projection_dim": 512, "text": {}, "vision": {}},
    "tiny": {
        "vocabulary": 1024,
        "projection_dim": 64,
        "text": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2},
        "vision": {
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "image_size": 32,
            "patch_size": 8,
        },
    },
}


def random_clip_checkpoint(
    folder: Path,
    *,
    seed: int = 0,
    shape: Literal["vit-b-32", "tiny"] = "tiny",
    half: bool = False,
) -> Path:
    """Write a checkpoint in the Hugging Face layout; needs the extra ``worker``.

    Args:
        folder: where to; made if absent.
        seed: of the weights.
        shape: ``vit-b-32`` has the sizes and the vocabulary of the real one (600 MB), ``tiny``
            loads in milliseconds.
        half: save the weights as fp16.

    Returns:
        ``folder``.
    """
    import torch
    from transformers import CLIPConfig, CLIPModel

    from vidsearch.encoders.towers import quiet_transformers

    sizes = _SHAPES[shape]
    vocabulary, merges = clip_vocabulary(sizes["vocabulary"])
    heads = {"num_attention_heads": 4} if shape == "tiny" else {}
    tokens = {
        "vocab_size": len(vocabulary),
        "bos_token_id": vocabulary[_START],
        "eos_token_id": vocabulary[_END],
        "pad_token_id": vocabulary[_END],
    }
    dims = {"projection_dim": sizes["projection_dim"]}
    config = CLIPConfig(
        text_config={**sizes["text"], **heads, **tokens, **dims},
        vision_config={**sizes["vision"], **heads, **dims},
        **dims,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Any = CLIPModel(config)
    if half:
        model = model.to(torch.float16)
    folder.mkdir(parents=True, exist_ok=True)
    with quiet_transformers():
        model.save_pretrained(folder)
    _write_tokenizer(folder, vocabulary, merges)
    _write_preprocessor(folder, size=sizes["vision"].get("image_size", 224))
    return folder


def turned_demo_checkpoint(folder: Path, *, seed: int = 0) -> Path:
    """Write the ``demo`` checkpoint with all its vectors turned by one random rotation.

    Another model of the same shape, as good as the first: cosines within it are the same. Vectors
    of the two have nothing to do with each other, so that a search which mixes them finds nothing
    near. Needs the extra ``worker``.

    Args:
        folder: where to; made if absent.
        seed: of the rotation.

    Returns:
        ``folder``.
    """
    import numpy as np
    from safetensors.numpy import load_file, save_file

    from vidsearch.encoders.checkpoint import DEMO_FOLDER

    shutil.copytree(DEMO_FOLDER, folder, dirs_exist_ok=True)
    weights = load_file(folder / "model.safetensors")
    dims = len(weights["text_projection.weight"])
    drawn = np.random.default_rng(seed).standard_normal((dims, dims))
    rotation = np.linalg.qr(drawn).Q
    for name in ("text_projection.weight", "visual_projection.weight"):
        weights[name] = (rotation @ weights[name].astype(float)).astype(weights[name].dtype)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def random_siglip_checkpoint(folder: Path, *, generation: Literal[1, 2] = 1, seed: int = 0) -> Path:
    """Write a small SigLIP checkpoint in the Hugging Face layout; needs the extra ``worker``.

    Args:
        folder: where to; made if absent.
        generation: 1 has a unigram vocabulary and bicubic frames, 2 Gemma's kind of vocabulary and
            bilinear frames.
        seed: of the weights.

    Returns:
        ``folder``.
    """
    import torch
    from transformers import SiglipConfig, SiglipModel

    from vidsearch.encoders.towers import quiet_transformers

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _unigram_tokenizer() if generation == 1 else _gemma_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    sizes = {**_SHAPES["tiny"]["text"], "num_attention_heads": 4}
    # transformers warns of its own defaults, which are CLIP's tokens.
    with quiet_transformers(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = SiglipConfig(
            text_config={**sizes, "vocab_size": tokenizer.get_vocab_size()},
            vision_config={**sizes, "image_size": _SIGLIP_SIDE, "patch_size": 8},
        )
        model: Any = SiglipModel(config)
        model.save_pretrained(folder)
    of_tokenizer = {
        1: {"tokenizer_class": "SiglipTokenizer", "eos_token": "</s>", "pad_token": "</s>"},
        2: {"tokenizer_class": "GemmaTokenizer", "eos_token": "<eos>", "pad_token": "<pad>"},
    }
    _write_json(folder / "tokenizer_config.json", of_tokenizer[generation])
    _write_json(
        folder / "preprocessor_config.json",
        {
            "image_processor_type": "SiglipImageProcessor",
            "do_convert_rgb": None,
            "do_resize": True,
            "do_rescale": True,
            "do_normalize": True,
            "size": {"height": _SIGLIP_SIDE, "width": _SIGLIP_SIDE},
            "resample": 3 if generation == 1 else 2,
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
        },
    )
    return folder


def _unigram_tokenizer() -> Any:
    """As the first SigLIP's, converted from SentencePiece; ids of its special tokens as there."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -3.0)]
    pieces += [(letter, -4.0) for letter in _CHARACTERS]
    pieces += [(f"{start}{letter}", -5.0) for start in "▁aeiou" for letter in _CHARACTERS]
    tokenizer: Any = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>"])
    return tokenizer


def _gemma_tokenizer() -> Any:
    """As SigLIP 2's: Gemma's kind, with padding saved in it as there."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    merges = [(start, letter) for start in "▁aeiou" for letter in _CHARACTERS]
    tokens = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *_CHARACTERS]
    tokens += [start + letter for start, letter in merges]
    vocabulary = {token: id for id, token in enumerate(tokens)}
    tokenizer: Any = Tokenizer(
        models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.add_special_tokens(special)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=["$A", "<eos>"], special_tokens=[("<eos>", 1)]
    )
    tokenizer.enable_padding(length=64, pad_id=0, pad_token="<pad>")
    return tokenizer


def clip_vocabulary(size: int) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """A made-up vocabulary in CLIP's byte-pair format, always the same.

    Returns:
        token → id, and the merges by rank. 256 byte symbols, the same at a word's end, one token
        per merge, start token, end token: ``size`` in all.
    """
    symbols = list(_byte_symbols())
    tokens = [*symbols, *(symbol + _WORD_END for symbol in symbols)]
    merges = list(itertools.islice(_merges(), size - len(tokens) - 2))
    tokens += [left + right for left, right in merges]
    tokens += [_START, _END]
    return {token: id for id, token in enumerate(tokens)}, merges


def _merges() -> Iterator[tuple[str, str]]:
    """Merges that spell letters from left to right: pairs, then triples, then quadruples."""
    letters = "etaoinshrdlcumwfgypbvkjxqz"
    stems: list[str] = list(letters)
    while True:
        pairs = [(stem, letter) for stem in stems for letter in letters]
        for stem, letter in pairs:
            yield stem, letter
            yield stem, letter + _WORD_END
        stems = [stem + letter for stem, letter in pairs]


def _byte_symbols() -> Iterator[str]:
    """One printable character per byte, in the order of GPT-2's and CLIP's vocabularies."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    yield from map(chr, printable)
    hidden = (byte for byte in range(256) if byte not in printable)
    yield from (chr(256 + index) for index, _ in enumerate(hidden))


def _write_tokenizer(
    folder: Path, vocabulary: dict[str, int], merges: list[tuple[str, str]]
) -> None:
    _write_json(folder / "vocab.json", vocabulary)
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    special = {"bos_token": _START, "eos_token": _END, "unk_token": _END, "pad_token": _END}
    _write_json(folder / "special_tokens_map.json", special)
    _write_json(
        folder / "tokenizer_config.json",
        {**special, "model_max_length": 77, "tokenizer_class": "CLIPTokenizer"},
    )


def _write_preprocessor(folder: Path, *, size: int) -> None:
    from vidsearch.media.pixels import CLIP_PIXELS

    _write_json(
        folder / "preprocessor_config.json",
        {
            "image_processor_type": "CLIPImageProcessor",
            "size": {"shortest_edge": size},
            "crop_size": {"height": size, "width": size},
            "resample": 3,
            "image_mean": CLIP_PIXELS.mean,
            "image_std": CLIP_PIXELS.std,
        },
    )


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
