"""Where a CLIP checkpoint lies and what its small files say; torch is not needed for that."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from vidsearch.encoders.hub import hub_folder
from vidsearch.encoders.identity import ModelIdentity, sampling_name
from vidsearch.errors import ModelUnavailable
from vidsearch.media.frames import Sampling
from vidsearch.media.hashing import content_hash
from vidsearch.media.pixels import CLIP_PIXELS, PixelRecipe

__all__ = ["DEMO_FOLDER", "Checkpoint", "open_checkpoint"]

_DEMO = "demo"
DEMO_FOLDER = Path(__file__).parent / "demo_checkpoint"
"""The checkpoint that ships with the package."""
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_PREPROCESSORS = ("preprocessor_config.json", "processor_config.json")
"""transformers 4 and 5."""
_SMALL_FILES = (
    "config.json",
    *_PREPROCESSORS,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)
_BICUBIC = 3
"""Pillow's number for it."""
_WEIGHTS = (("model", "safetensors"), ("pytorch_model", "bin"))
"""Stem and suffix in transformers' order of preference; either may come in shards."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A CLIP checkpoint in the Hugging Face layout, found but not loaded."""

    name: str
    """Hub id, ``demo``, or ``local`` for any other folder: the path says nothing of vectors."""
    revision: str
    """The hub's commit, or the SHA-256 of a folder's weights."""
    folder: Path
    """Holds the small files, and the weights once :meth:`with_weights` was called."""
    config: dict[str, Any] = field(repr=False)
    pixels: PixelRecipe
    offline: bool = True
    token: SecretStr | None = None

    @property
    def _text_config(self) -> dict[str, Any]:
        return _section(self.config, "text_config")

    @property
    def context_length(self) -> int:
        """Tokens that the text tower reads."""
        return int(self._text_config.get("max_position_embeddings", 77))

    @property
    def vocabulary_size(self) -> int:
        """Tokens that the text tower knows."""
        return int(self._text_config.get("vocab_size", 49408))

    def identity(
        self, *, rate: float, sampling: Sampling, precision: str = "fp32"
    ) -> ModelIdentity:
        """What the index remembers of vectors made with this checkpoint."""
        return ModelIdentity(
            name=self.name,
            revision=self.revision,
            dims=int(self.config.get("projection_dim", 512)),
            image_size=self.pixels.size,
            sampling=sampling_name(sampling, rate=rate),
            precision=precision,
        )

    def with_weights(self) -> Path:
        """The folder with the weights in it; a hub's weights are downloaded now if need be.

        Raises:
            ModelUnavailable: the hub has none, or they are neither cached nor reachable.
        """
        if _weight_files(self.folder):
            return self.folder
        for stem, suffix in _WEIGHTS:
            folder = hub_folder(
                self.name,
                [f"{stem}*.{suffix}", f"{stem}.{suffix}.index.json"],
                revision=self.revision,
                offline=self.offline,
                token=self.token,
            )
            if _weight_files(folder):
                return folder
        raise ModelUnavailable(f"hub checkpoint {self.name!r} has {_NO_WEIGHTS}")


def open_checkpoint(
    name: str,
    *,
    revision: str | None = None,
    offline: bool = False,
    token: SecretStr | None = None,
) -> Checkpoint:
    """Find a checkpoint and read its configuration.

    Args:
        name: ``demo``, a folder, or a hub id.
        revision: hub commit, tag or branch; the default branch where ``None``.
        offline: take hub files from the local cache only.
        token: for private checkpoints of the hub.

    Raises:
        ModelUnavailable: not found, not reachable, or not a CLIP checkpoint.
        MissingExtra: a hub id is given and the hub's client is not installed.
    """
    if name == _DEMO:
        return _open_folder(DEMO_FOLDER, name=_DEMO)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _open_folder(folder, name="local")
    if folder.is_absolute() or name.startswith((".", "~")) or not _HUB_ID.fullmatch(name):
        raise ModelUnavailable(
            f"there is no folder {name!r}; set VIDSEARCH_MODEL__NAME to the folder of a CLIP "
            "checkpoint, a hub id such as 'Searchium-ai/clip4clip-webvid150k', or 'demo'"
        )
    folder = hub_folder(name, _SMALL_FILES, revision=revision, offline=offline, token=token)
    config = _read_config(folder, where=f"hub checkpoint {name!r}")
    return Checkpoint(
        name=name,
        # The folder is named like the commit: whatever is read later is read from that very one.
        revision=folder.name,
        folder=folder,
        config=config,
        pixels=_pixel_recipe(folder, config),
        offline=offline,
        token=token,
    )


def _open_folder(folder: Path, *, name: str) -> Checkpoint:
    where = f"folder {str(folder)!r}"
    config = _read_config(folder, where=where)
    weights = _weight_files(folder)
    if not weights:
        raise ModelUnavailable(f"{where} has {_NO_WEIGHTS}")
    return Checkpoint(
        name=name,
        revision=_hash_of(weights),
        folder=folder,
        config=config,
        pixels=_pixel_recipe(folder, config),
    )


_NO_WEIGHTS = "no weights: " + " or ".join(f"{stem}.{suffix}" for stem, suffix in _WEIGHTS)


def _weight_files(folder: Path) -> list[Path]:
    for stem, suffix in _WEIGHTS:
        whole = folder / f"{stem}.{suffix}"
        found = [whole] if whole.is_file() else sorted(folder.glob(f"{stem}-*-of-*.{suffix}"))
        if found:
            return found
    return []


def _hash_of(weights: list[Path]) -> str:
    # Of the weights alone, so that two copies of one checkpoint are the same model.
    hashes = [content_hash(file) for file in weights]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _read_config(folder: Path, *, where: str) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelUnavailable(f"{where} has no config.json: not a checkpoint") from error
    except (OSError, ValueError) as error:
        raise ModelUnavailable(f"{where}: config.json cannot be read ({error})") from error
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind != "clip":
        raise ModelUnavailable(f"{where} is not a CLIP checkpoint, but of type {kind!r}")
    return dict(config)


def _section(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    # Early checkpoints say it a second time, which is what transformers then goes by.
    return {**(config.get(name) or {}), **(config.get(f"{name}_dict") or {})}


def _pixel_recipe(folder: Path, config: dict[str, Any]) -> PixelRecipe:
    found: dict[str, Any] = {}
    for path in (folder / name for name in _PREPROCESSORS):
        if path.is_file():
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise ModelUnavailable(f"{path} cannot be read ({error})") from error
            found = content.get("image_processor", content)
            _require_clip_recipe(found, path)
            break
    return PixelRecipe(
        size=int(_section(config, "vision_config").get("image_size", CLIP_PIXELS.size)),
        mean=tuple(found.get("image_mean", CLIP_PIXELS.mean)),
        std=tuple(found.get("image_std", CLIP_PIXELS.std)),
    )


def _require_clip_recipe(found: Mapping[str, Any], path: Path) -> None:
    expected = dict.fromkeys(("do_resize", "do_center_crop", "do_rescale", "do_normalize"), True)
    for key, value in {**expected, "resample": _BICUBIC}.items():
        if found.get(key) not in (None, value):
            raise ModelUnavailable(
                f"{path} asks for {key}={found[key]!r}, but frames are prepared as CLIP's are "
                f"({key}={value!r}): use an encoder of your own (VIDSEARCH_MODEL__ENCODER)"
            )
