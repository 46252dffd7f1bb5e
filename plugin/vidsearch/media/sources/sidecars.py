"""Subtitle files that stand beside a video, known by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vidsearch.media.languages import canonical_tag, is_language, language_rank

__all__ = ["SIDECAR_BYTES", "Sidecar", "choose_sidecars"]

SIDECAR_BYTES = 5 * 2**20
"""Maximum number of bytes of a subtitle file; larger files are not read."""

_MOST = 32
_AFTER_STEM = re.compile(
    r"(?:\.(?!(?:default|forced|sdh|cc)\.)(?P<language>[a-z]{2,}(?:[-_][a-z0-9]{2,8})*))?"
    r"(?:\.(?P<kind>default|sdh|cc|hi|forced))?"
    r"\.(?P<format>srt|vtt)",
    re.IGNORECASE,
)
_KINDS = ("default", "", "sdh", "cc", "hi", "forced")


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A subtitle file beside a video."""

    path: Path
    language: str = ""
    """As :func:`canonical_tag` gives it; empty where the name says none."""
    is_forced: bool = False
    """Whether it holds the lines of foreign speech only."""


def choose_sidecars(
    video: str, names: Iterable[str], *, languages: Sequence[str] = ()
) -> tuple[Sidecar, ...]:
    """The files that are subtitles of the video, best first; at most 32.

    For ``talk.mp4`` these are ``talk.srt``, ``talk.en.vtt``, ``talk.pt-BR.forced.srt``, …: those of
    the preferred languages first, then those without a language, then the others by language; per
    language the plain text before that for the deaf (``sdh``, ``cc``, ``hi``); ``.srt`` before
    ``.vtt``. Those of foreign speech only (``forced``) come last.

    Args:
        video: file name of the video.
        names: of the files beside it.
        languages: the preferred ones, best first.
    """
    stem = PurePosixPath(video).stem
    found = []
    for name in names:
        if not name.startswith(stem):
            continue
        match = _AFTER_STEM.fullmatch(name, len(stem))
        if not match or name == video or not _says_a_language(match["language"]):
            continue
        kind = (match["kind"] or "").lower()
        sidecar = Sidecar(Path(name), canonical_tag(match["language"] or ""), kind == "forced")
        rank = language_rank(sidecar.language, languages), sidecar.language, _KINDS.index(kind)
        found.append((sidecar.is_forced, *rank, match["format"].lower(), name, sidecar))
    return tuple(sidecar for *_, sidecar in sorted(found, key=lambda each: each[:-1])[:_MOST])


def _says_a_language(tag: str | None) -> bool:
    if tag is None:
        return True
    language = re.split("[-_]", tag)[0]
    return len(language) == 3 or is_language(language)
