"""The supported model types and where they differ. Imports neither torch nor transformers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vidsearch.media.pixels import CLIP_PIXELS, PixelRecipe

__all__ = ["FAMILIES", "Family", "Tower", "section"]

Tower = Literal["text", "vision"]


@dataclass(frozen=True, slots=True)
class Family:
    """What cannot be read from a checkpoint's files."""

    name: str
    """For messages."""
    config: str
    """Its configuration's class in transformers."""
    towers: Mapping[Tower, str]
    """Classes of the towers."""
    vector: int
    """Which of a tower's outputs is the vector."""
    parts: str
    """What a complete tower has, for messages."""
    pixels: PixelRecipe
    """Holds where the checkpoint does not say otherwise."""
    says_resize: bool
    """Whether its checkpoints differ in how frames are resized, so that they must say it."""
    context_length: int
    """Tokens, where the checkpoint does not say."""
    vocabulary_size: int
    """Tokens, where the checkpoint does not say."""
    dims: Callable[[Mapping[str, Any]], int]
    """Length of a vector, by ``config.json``."""
    flaw: Callable[[Mapping[str, Any]], str | None]
    """Why a ``config.json`` cannot be used; ``None`` where it can."""


def section(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A part of ``config.json``, such as ``text_config``; empty where it is absent."""
    # Early checkpoints say it a second time, which is what transformers then goes by.
    return {**(config.get(name) or {}), **(config.get(f"{name}_dict") or {})}


def _clip_dims(config: Mapping[str, Any]) -> int:
    return int(config.get("projection_dim", 512))


def _siglip_dims(config: Mapping[str, Any]) -> int:
    return _hidden(section(config, "vision_config"))


def _siglip_flaw(config: Mapping[str, Any]) -> str | None:
    text, vision = section(config, "text_config"), section(config, "vision_config")
    if vision.get("vision_use_head") is False:
        return "its vision tower has no head that makes one vector of a frame"
    of_texts = int(text.get("projection_size") or _hidden(text))
    if of_texts != _hidden(vision):
        return f"vectors of its texts have {of_texts} dims, those of frames {_hidden(vision)}"
    return None


def _hidden(part: Mapping[str, Any]) -> int:
    return int(part.get("hidden_size", 768))


FAMILIES: Mapping[str, Family] = {
    "clip": Family(
        name="CLIP",
        config="CLIPConfig",
        towers={"text": "CLIPTextModelWithProjection", "vision": "CLIPVisionModelWithProjection"},
        vector=0,
        parts="a projection",
        pixels=CLIP_PIXELS,
        says_resize=False,
        context_length=77,
        vocabulary_size=49408,
        dims=_clip_dims,
        flaw=lambda config: None,
    ),
    # SigLIP 2 of a fixed resolution is of this type as well.
    "siglip": Family(
        name="SigLIP",
        config="SiglipConfig",
        towers={"text": "SiglipTextModel", "vision": "SiglipVisionModel"},
        vector=1,  # pooled; there is no projection after it
        parts="its heads",
        pixels=PixelRecipe(224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "squash", "bicubic"),
        says_resize=True,
        context_length=64,
        vocabulary_size=32000,
        dims=_siglip_dims,
        flaw=_siglip_flaw,
    ),
}
"""By ``model_type`` of ``config.json``."""
