"""The files of an export: a folder with a manifest, written last, that names all others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from vidsearch.encoders.families import Tower
from vidsearch.encoders.identity import ModelIdentity, sampling_name
from vidsearch.encoders.texts import TextRecipe
from vidsearch.errors import ModelUnavailableError, SourceUnavailableError
from vidsearch.media.frames import Sampling
from vidsearch.media.hashing import content_hash
from vidsearch.media.pixels import PixelRecipe

__all__ = [
    "EXPORT_AGAIN",
    "MANIFEST",
    "PRECISIONS",
    "TOWERS",
    "Export",
    "ExportedFile",
    "ExportedTower",
    "Precision",
    "Tower",
    "is_export",
    "read_export",
]

Precision = Literal["fp32", "int8"]
TOWERS: tuple[Tower, ...] = ("text", "vision")
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")

MANIFEST = "vidsearch-export.json"
EXPORT_AGAIN = "make it again with `vidsearch model export`"
_LAYOUT = 2


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file of an export."""

    name: str
    size: int
    """In bytes."""
    sha256: str

    @classmethod
    def of(cls, path: Path) -> ExportedFile:
        """Of a file as it is now."""
        return cls(path.name, path.stat().st_size, content_hash(path))

    def checked(self, folder: Path) -> Path:
        """Where it is, once its bytes are found to be those that were exported.

        Raises:
            ModelUnavailableError: it is missing, or has other bytes.
        """
        path = folder / self.name
        try:
            size = path.stat().st_size
            intact = size == self.size and content_hash(path) == self.sha256
        except (OSError, SourceUnavailableError) as error:
            reason = "is missing" if isinstance(error, FileNotFoundError) else "cannot be read"
            raise ModelUnavailableError(
                f"{self.name!r} of the export {str(folder)!r} {reason}: copy the whole folder, or "
                f"{EXPORT_AGAIN}"
            ) from error
        if not intact:
            raise ModelUnavailableError(
                f"{self.name!r} of the export {str(folder)!r} is not what was exported "
                f"({size} bytes, {self.size} expected, or other content): copy the folder anew, "
                f"or {EXPORT_AGAIN}"
            )
        return path


@dataclass(frozen=True, slots=True)
class ExportedTower:
    """One tower in one precision: the graph, and the weights that it maps into memory."""

    graph: ExportedFile
    weights: ExportedFile
    max_loss: float
    """Largest ``1 - cosine`` to torch in single precision, on the probes of the export."""


@dataclass(frozen=True, slots=True)
class Export:
    """An export, found but not loaded."""

    folder: Path
    model: Mapping[str, Any]
    """Identity of the checkpoint, as in an index, without what the settings decide."""
    texts: TextRecipe
    pixels: PixelRecipe
    tokenizer: ExportedFile
    towers: Mapping[Precision, Mapping[Tower, ExportedTower]]
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of what made it."""

    def identity(self, *, rate: float, sampling: Sampling, precision: Precision) -> ModelIdentity:
        """That of the checkpoint which was exported, with the precision noted."""
        return ModelIdentity.from_meta(
            {**self.model, "sampling": sampling_name(sampling, rate=rate), "precision": precision}
        )

    def files(self) -> list[ExportedFile]:
        """All of them but the manifest."""
        towers = [tower for each in self.towers.values() for tower in each.values()]
        return [self.tokenizer, *(file for each in towers for file in (each.graph, each.weights))]

    def to_manifest(self) -> dict[str, Any]:
        """As JSON."""
        content = asdict(self)
        del content["folder"]
        return {"layout": _LAYOUT, **content}


def is_export(folder: str | Path) -> bool:
    """Whether ``vidsearch model export`` made this folder, and finished."""
    return (Path(folder).expanduser() / MANIFEST).is_file()


def read_export(folder: str | Path) -> Export:
    """Read the manifest; the files that it names are looked at when they are loaded.

    Raises:
        ModelUnavailableError: no manifest there, or not one of this version.
    """
    folder = Path(folder).expanduser()
    where = f"the export {str(folder)!r}"
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        layout = content["layout"]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelUnavailableError(
            f"{str(folder)!r} holds no {MANIFEST}: not made by `vidsearch model export`, or not "
            "finished"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelUnavailableError(
            f"the {MANIFEST} of {where} cannot be read: {EXPORT_AGAIN}"
        ) from error
    if layout != _LAYOUT:
        raise ModelUnavailableError(
            f"{where} has the layout {layout!r}, but this version of vidsearch reads {_LAYOUT}: "
            f"{EXPORT_AGAIN} of this version"
        )
    try:
        return _parsed(folder, content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelUnavailableError(
            f"the {MANIFEST} of {where} lacks something or is damaged ({error}): {EXPORT_AGAIN}"
        ) from error


def _parsed(folder: Path, content: Mapping[str, Any]) -> Export:
    pixels = content["pixels"]
    towers = {
        cast(Precision, precision): {
            cast(Tower, name): ExportedTower(
                graph=ExportedFile(**tower["graph"]),
                weights=ExportedFile(**tower["weights"]),
                max_loss=float(tower["max_loss"]),
            )
            for name, tower in each.items()
        }
        for precision, each in content["towers"].items()
    }
    made = Export(
        folder=folder,
        model=dict(content["model"]),
        texts=TextRecipe(**content["texts"]),
        pixels=PixelRecipe(
            **{**pixels, "mean": tuple(pixels["mean"]), "std": tuple(pixels["std"])}
        ),
        tokenizer=ExportedFile(**content["tokenizer"]),
        towers=towers,
        versions=dict(content["versions"]),
    )
    ModelIdentity.from_meta(made.model)
    return made
