"""Where a CLIP checkpoint lies and what its small files say; torch is not needed for that."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from vidsearch.encoders.identity import ModelIdentity
from vidsearch.errors import ModelUnavailable
from vidsearch.media.hashing import content_hash
from vidsearch.media.pixels import CLIP_PIXELS, PixelRecipe

__all__ = ["DEMO_FOLDER", "Checkpoint", "open_checkpoint"]

_DEMO = "demo"
DEMO_FOLDER = Path(__file__).parent / "demo_checkpoint"
"""The checkpoint that ships with the package."""
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""In transformers' order of preference; each may come in shards with an index."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A CLIP checkpoint in the Hugging Face layout, found but not loaded."""

    name: str
    """Hub id, ``demo``, or ``local`` for any other folder: the path says nothing of vectors."""
    revision: str
    """The hub's commit, or the SHA-256 of a folder's weights."""
    source: str
    """What ``from_pretrained`` takes: hub id or folder."""
    config: dict[str, Any] = field(repr=False)
    pixels: PixelRecipe
    offline: bool
    token: SecretStr | None

    @property
    def is_local(self) -> bool:
        """Whether ``source`` is a folder."""
        return self.name in {_DEMO, "local"}

    @property
    def dims(self) -> int:
        """Length of a vector."""
        return int(self.config.get("projection_dim", 512))

    @property
    def context_length(self) -> int:
        """Tokens that the text tower reads."""
        return int(self.config.get("text_config", {}).get("max_position_embeddings", 77))

    @property
    def vocabulary_size(self) -> int:
        """Tokens that the text tower knows."""
        return int(self.config.get("text_config", {}).get("vocab_size", 49408))

    def identity(self, *, rate: float) -> ModelIdentity:
        """What the index remembers of vectors made with this checkpoint."""
        return ModelIdentity(
            name=self.name,
            revision=self.revision,
            dims=self.dims,
            image_size=self.pixels.size,
            sampling=f"played-at@{rate:g}fps",
        )

    def pretrained_arguments(self) -> dict[str, Any]:
        """Keyword arguments for ``from_pretrained`` beside ``source``."""
        if self.is_local:
            return {"local_files_only": True}
        return {
            "revision": self.revision,
            "local_files_only": self.offline,
            "token": self.token.get_secret_value() if self.token else None,
        }


def open_checkpoint(
    name: str,
    *,
    revision: str | None = None,
    offline: bool = False,
    token: SecretStr | None = None,
) -> Checkpoint:
    """Find a checkpoint and read its configuration. Weights are hashed, but not loaded.

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
    return _open_hub(name, revision=revision, offline=offline, token=token)


def _open_folder(folder: Path, *, name: str) -> Checkpoint:
    config = _read_config(folder / "config.json", where=f"folder {str(folder)!r}")
    return Checkpoint(
        name=name,
        revision=_weights_hash(folder),
        source=str(folder),
        config=config,
        pixels=_pixel_recipe(config, [folder / file for file in _PREPROCESSORS]),
        offline=True,
        token=None,
    )


def _open_hub(
    name: str, *, revision: str | None, offline: bool, token: SecretStr | None
) -> Checkpoint:
    from vidsearch.encoders.hub import hub_file

    config_file = hub_file(name, "config.json", revision=revision, offline=offline, token=token)
    if config_file is None:
        raise ModelUnavailable(f"hub checkpoint {name!r} has no config.json: not a checkpoint")
    # …/snapshots/<commit>/config.json; everything else is then read from that very commit.
    commit = config_file.parent.name
    config = _read_config(config_file, where=f"hub checkpoint {name!r}")
    preprocessors = (
        hub_file(name, file, revision=commit, offline=offline, token=token, optional=True)
        for file in _PREPROCESSORS
    )
    return Checkpoint(
        name=name,
        revision=commit,
        source=name,
        config=config,
        pixels=_pixel_recipe(config, preprocessors),
        offline=offline,
        token=token,
    )


_PREPROCESSORS = ("preprocessor_config.json", "processor_config.json")
"""transformers 4 and 5."""


def _read_config(path: Path, *, where: str) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelUnavailable(f"{where} has no config.json: not a checkpoint") from error
    except (OSError, ValueError) as error:
        raise ModelUnavailable(f"{where}: config.json cannot be read ({error})") from error
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind != "clip":
        raise ModelUnavailable(f"{where} is not a CLIP checkpoint, but of type {kind!r}")
    return dict(config)


def _pixel_recipe(config: dict[str, Any], files: Iterable[Path | None]) -> PixelRecipe:
    size = int(config.get("vision_config", {}).get("image_size", CLIP_PIXELS.size))
    found: dict[str, Any] = {}
    for path in files:
        if path is not None and path.is_file():
            content = json.loads(path.read_text(encoding="utf-8"))
            found = content.get("image_processor", content)
            break
    return PixelRecipe(
        size=size,
        mean=tuple(found.get("image_mean", CLIP_PIXELS.mean)),
        std=tuple(found.get("image_std", CLIP_PIXELS.std)),
    )


def _weights_hash(folder: Path) -> str:
    """SHA-256 over the weights, so that two copies of one checkpoint are the same model."""
    for name in _WEIGHTS:
        if (folder / name).is_file():
            return content_hash(folder / name)
        stem, _, suffix = name.rpartition(".")
        if shards := sorted(folder.glob(f"{stem}-*-of-*.{suffix}")):
            hashes = "".join(content_hash(shard) for shard in shards)
            return hashlib.sha256(hashes.encode()).hexdigest()
    raise ModelUnavailable(f"folder {str(folder)!r} has no weights ({' or '.join(_WEIGHTS)})")
