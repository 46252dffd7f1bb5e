"""Finds a checkpoint and reads its configuration, without torch."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from vidsearch.encoders.families import FAMILIES, Family, section
from vidsearch.encoders.hub import hub_folder
from vidsearch.encoders.identity import ModelIdentity, sampling_name
from vidsearch.errors import ModelUnavailableError
from vidsearch.media.frames import Sampling
from vidsearch.media.hashing import content_hash
from vidsearch.media.pixels import PixelRecipe, Resample

__all__ = ["DEMO_FOLDER", "SMALL_FILES", "Checkpoint", "open_checkpoint"]

_DEMO = "demo"
DEMO_FOLDER = Path(__file__).parent / "demo_checkpoint"
"""The checkpoint that ships with the package."""
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_PREPROCESSORS = ("preprocessor_config.json", "processor_config.json")
"""transformers 4 and 5."""
SMALL_FILES = (
    "config.json",
    *_PREPROCESSORS,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)
"""All that a checkpoint may have beside its weights."""
_RESAMPLES: dict[int, Resample] = {2: "bilinear", 3: "bicubic"}
"""By Pillow's numbers for them."""
_WEIGHTS = (("model", "safetensors"), ("pytorch_model", "bin"))
"""Stem and suffix in transformers' order of preference; either may come in shards."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint in the Hugging Face layout, found but not loaded."""

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
    def family(self) -> Family:
        """What it has in common with others of its type."""
        return FAMILIES[self.config["model_type"]]

    @property
    def context_length(self) -> int:
        """Tokens that the text tower reads."""
        text = section(self.config, "text_config")
        return int(text.get("max_position_embeddings", self.family.context_length))

    @property
    def vocabulary_size(self) -> int:
        """Tokens that the text tower knows."""
        text = section(self.config, "text_config")
        return int(text.get("vocab_size", self.family.vocabulary_size))

    def identity(
        self, *, rate: float, sampling: Sampling, precision: str = "fp32"
    ) -> ModelIdentity:
        """What the index remembers of vectors made with this checkpoint."""
        return ModelIdentity(
            name=self.name,
            revision=self.revision,
            dims=self.family.dims(self.config),
            image_size=self.pixels.size,
            sampling=sampling_name(sampling, rate=rate),
            precision=precision,
            frames=f"{self.pixels.resize}-{self.pixels.resample}",
        )

    def with_weights(self) -> Path:
        """The folder with the weights in it; a hub's weights are downloaded now if need be.

        Raises:
            ModelUnavailableError: the hub has none, or they are neither cached nor reachable.
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
        raise ModelUnavailableError(f"hub checkpoint {self.name!r} has {_NO_WEIGHTS}")


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
        ModelUnavailableError: not found, not reachable, or not a checkpoint of a
            :class:`~vidsearch.encoders.families.Family`.
        MissingExtraError: a hub id is given and the hub's client is not installed.
    """
    if name == _DEMO:
        return _open_folder(DEMO_FOLDER, name=_DEMO)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _open_folder(folder, name="local")
    if folder.is_absolute() or name.startswith((".", "~")) or not _HUB_ID.fullmatch(name):
        raise ModelUnavailableError(
            f"there is no folder {name!r}; set VIDSEARCH_MODEL__NAME to the folder of a CLIP "
            "or SigLIP checkpoint, a hub id such as 'Searchium-ai/clip4clip-webvid150k', or 'demo'"
        )
    folder = hub_folder(name, SMALL_FILES, revision=revision, offline=offline, token=token)
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
        raise ModelUnavailableError(f"{where} has {_NO_WEIGHTS}")
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
        raise ModelUnavailableError(f"{where} has no config.json: not a checkpoint") from error
    except (OSError, ValueError) as error:
        raise ModelUnavailableError(f"{where}: config.json cannot be read ({error})") from error
    kind = config.get("model_type") if isinstance(config, dict) else None
    family = FAMILIES.get(kind) if isinstance(kind, str) else None
    if family is None:
        raise ModelUnavailableError(
            f"{where} is neither a CLIP nor a SigLIP checkpoint, but of type {kind!r}"
            + (": take a SigLIP 2 of a fixed resolution" if kind == "siglip2" else "")
        )
    if flaw := family.flaw(config):
        raise ModelUnavailableError(f"{where} cannot be used: {flaw}")
    return dict(config)


def _pixel_recipe(folder: Path, config: dict[str, Any]) -> PixelRecipe:
    family = FAMILIES[config["model_type"]]
    size = section(config, "vision_config").get("image_size", family.pixels.size)
    path = next((p for name in _PREPROCESSORS if (p := folder / name).is_file()), None)
    found = _image_processor(path) if path else {}
    if path:
        _refuse_other_steps(found, path, family, size=size)
    elif family.says_resize:
        raise ModelUnavailableError(
            f"{str(folder)!r} has no {_PREPROCESSORS[0]}, which says how frames are resized for a "
            f"{family.name}: copy it from where the checkpoint is from"
        )
    resample = found.get("resample")
    return PixelRecipe(
        size=int(size),
        mean=_of_channels(found.get("image_mean", family.pixels.mean)),
        std=_of_channels(found.get("image_std", family.pixels.std)),
        resize=family.pixels.resize,
        resample=family.pixels.resample if resample is None else _RESAMPLES[resample],
    )


def _of_channels(value: Any) -> Any:
    """A number is that of all three colours, as in transformers."""
    return (value,) * 3 if isinstance(value, (int, float)) else tuple(value)


def _image_processor(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelUnavailableError(f"{path} cannot be read ({error})") from error
    found = content.get("image_processor", content) if isinstance(content, dict) else content
    if not isinstance(found, dict):
        raise ModelUnavailableError(
            f"{path} holds no settings of an image processor: copy it from where the checkpoint is "
            "from"
        )
    return {name: value for name, value in found.items() if value is not None}


def _refuse_other_steps(found: dict[str, Any], path: Path, family: Family, *, size: Any) -> None:
    crop = family.pixels.resize == "crop"
    allowed: dict[str, tuple[Any, ...]] = {
        **dict.fromkeys(("do_resize", "do_rescale", "do_normalize"), (True,)),
        "do_center_crop": (crop,),
        "resample": tuple(_RESAMPLES),
    }
    if crop:  # of the frame's whole shorter side; older files name sides by a number
        side = found.get("crop_size", size)
        side = side.get("height") if isinstance(side, dict) else side
        allowed["size"] = (side, {"shortest_edge": side})
    else:
        allowed["size"] = ({"height": size, "width": size},)
    for key, values in allowed.items():
        if found.get(key) not in (None, *values):
            raise ModelUnavailableError(
                f"{path} asks for {key}={found[key]!r}, but frames are prepared as those of "
                f"{family.name} are ({key}={' or '.join(map(repr, values))}): use an encoder of "
                "your own (VIDSEARCH_MODEL__ENCODER)"
            )
