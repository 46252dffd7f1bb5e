"""Whether what ingestion needs beside the model is installed, without importing it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from vidsearch.errors import MissingExtraError

if TYPE_CHECKING:
    from vidsearch.config import IndexSettings, IngestSettings, SourceSettings

__all__ = ["require_installed"]

_DECODERS = {"pyav": "av", "opencv": "cv2"}


def require_installed(
    ingest: IngestSettings, sources: SourceSettings, index: IndexSettings
) -> None:
    """Refuse an installation that cannot ingest as the settings say.

    Raises:
        MissingExtraError: names the extra and the module.
    """
    needs = [
        (_DECODERS[ingest.decoder], "worker", f"decoding video with {ingest.decoder}"),
        ("PIL", "worker", "turning frames into pixels"),
    ]
    if ingest.subtitles:
        needs.append(("pysubs2", "worker", "reading subtitle files"))
    if {"http", "https"} & set(sources.schemes):
        needs.append(("httpcore", "worker", "reading videos over http"))
    if index.segments == "shots":
        needs.append(("scenedetect", "shots", "finding cuts"))
    for module, extra, needed_for in needs:
        if not _is_installed(module):
            raise MissingExtraError.of(
                extra, needed_for=f"{needed_for} (no module {module!r} here)"
            )


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # imported in a form without a description
        return False
