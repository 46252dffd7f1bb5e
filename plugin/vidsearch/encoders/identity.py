"""The identity of a model: which vectors are comparable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from vidsearch.errors import ModelMismatchError

__all__ = ["ModelIdentity", "sampling_name"]


_CLIPS_FRAMES = "crop-bicubic"


def sampling_name(sampling: str, *, rate: float) -> str:
    """How an identity names the choice of frames: ``played-at@1fps``."""
    return f"{sampling}@{rate:g}fps"


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Identity of an encoder, kept under ``_meta.vidsearch.model`` of every index mapping.

    Vectors are comparable only where every field is equal but those that are noted for the reader
    alone: ``precision``.
    """

    name: str
    """Hub id, ``local`` for a folder, or ``demo``."""
    revision: str
    """Pinned hub revision, else a content hash of the weights."""
    dims: int
    image_size: int
    """Side of the square fed to the image tower, in pixels."""
    pooling: str = "mean-l2"
    """Unit frame vectors, mean, unit again (mean pooling without parameters)."""
    sampling: str = "played-at@1fps"
    precision: str = field(default="fp32", compare=False)
    """Numbers that frames are computed with. Noted, not compared: bf16 and int8 approximate the
    same vectors, and an index may be written by machines that differ in it."""
    frames: str = _CLIPS_FRAMES
    """How frames become that square. Left out of the JSON where it is CLIP's way, which was the
    only one when the first indexes were made."""

    def to_meta(self) -> dict[str, Any]:
        """As JSON for the mapping, with what is only noted."""
        return _without_clips_frames(asdict(self))

    def compared(self) -> dict[str, Any]:
        """As JSON, without what is only noted."""
        return _without_clips_frames({name: getattr(self, name) for name in self._compared()})

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> ModelIdentity:
        """From the mapping's JSON; keys of a newer version are ignored.

        Raises:
            KeyError: a required key is missing.
        """
        known = {f.name for f in fields(cls)}
        missing = {"name", "revision", "dims", "image_size"} - meta.keys()
        if missing:
            raise KeyError(", ".join(sorted(missing)))
        return cls(**{key: value for key, value in meta.items() if key in known})

    def __str__(self) -> str:
        frames = "" if self.frames == _CLIPS_FRAMES else f"{self.frames}, "
        return (
            f"{self.name}@{self.revision[:12]} ({self.dims} dims, {self.image_size} px, {frames}"
            f"{self.pooling}, {self.sampling})"
        )

    def require(
        self,
        other: ModelIdentity,
        *,
        where: str,
        advice: str = "Configure that model, or see `vidsearch reindex --model`.",
    ) -> None:
        """Refuse to mix vectors of two models.

        Args:
            other: the identity that ``where`` holds.
            where: what holds it, for the message: ``"index 'videos'"``.
            advice: end of the message.

        Raises:
            ModelMismatchError: a compared field differs; the message shows both identities.
        """
        if self == other:
            return
        differing = [
            name for name in self._compared() if getattr(self, name) != getattr(other, name)
        ]
        raise ModelMismatchError(
            f"{where} holds vectors of {other}, but the configured model is {self} "
            f"(differs in {', '.join(differing)}). {advice}"
        )

    @classmethod
    def _compared(cls) -> list[str]:
        return [f.name for f in fields(cls) if f.compare]


def _without_clips_frames(meta: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in meta.items() if (key, value) != ("frames", _CLIPS_FRAMES)}
