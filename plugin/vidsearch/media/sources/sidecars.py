"""Subtitle files that stand beside a video, known by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vidsearch.file_names import composed
from vidsearch.media.languages import canonical_tag, is_language, language_rank

__all__ = ["SIDECAR_BYTES", "Sidecar", "choose_sidecars"]

SIDECAR_BYTES = 5 * 2**20
"""Maximum number of bytes of a subtitle file; larger files are not read."""

_MOST = 32
_FORMATS = frozenset({"srt", "vtt"})
_LANGUAGE = re.compile(r"[a-z]{2,}(?:[-_][a-z0-9]{2,8})*", re.IGNORECASE)
_KINDS = ("default", "", "sdh", "cc", "hi", "foreign", "forced")
"""Parts of names that are no language, the best first. ``hi`` alone is Hindi."""
_FOREIGN = frozenset({"foreign", "forced"})


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

    For ``talk.mp4`` these are ``talk.srt``, ``talk.en.vtt``, ``talk.forced.pt-BR.srt``, …: those of
    the preferred languages first, then those without a language, then the others by language; per
    language the plain text before that for the deaf (``sdh``, ``cc``, ``hi``); ``.srt`` before
    ``.vtt``. Those of foreign speech only (``forced``) come last.

    A Mac may have written the one name, with letters and accents apart, and not the other. Such a
    file counts where none has the video's name exactly, and no other video may be meant.

    Args:
        video: file name of the video.
        names: of the files beside it.
        languages: the preferred ones, best first.
    """
    beside = [name for name in names if name != video]
    exactly = [name for name in beside if name.startswith(f"{PurePosixPath(video).stem}.")]
    found = _subtitles_of(video, exactly, languages)
    if not found and composed(video) not in map(composed, beside):
        found = _subtitles_of(composed(video), beside, languages)
    return tuple(found[:_MOST])


def _subtitles_of(video: str, names: Sequence[str], languages: Sequence[str]) -> list[Sidecar]:
    stem = PurePosixPath(video).stem
    found = []
    for name in names:
        alike = name if name.startswith(f"{stem}.") else composed(name)
        *parts, form = alike[len(stem) :].lower().split(".")
        if not alike.startswith(f"{stem}.") or form not in _FORMATS:
            continue
        said = _said(parts[1:])
        if said is None:
            continue
        tag, kinds = said
        sidecar = Sidecar(Path(name), canonical_tag(tag), not _FOREIGN.isdisjoint(kinds))
        kind = max(map(_KINDS.index, kinds), default=_KINDS.index(""))
        rank = language_rank(sidecar.language, languages), sidecar.language, kind
        found.append((sidecar.is_forced, *rank, form, name, sidecar))
    return [sidecar for *_, sidecar in sorted(found, key=lambda each: each[:-1])]


def _said(parts: Sequence[str]) -> tuple[str, list[str]] | None:
    """The language and the kinds that the parts of a name say, in any order; ``None`` where one of
    them says neither.
    """
    kinds = [part for part in parts if part in _KINDS and part]
    tags = [part for part in parts if part not in kinds]
    if not tags and "hi" in kinds:
        kinds.remove("hi")
        tags = ["hi"]
    if len(tags) > 1 or not all(map(_is_language, tags)):
        return None
    return "".join(tags), kinds


def _is_language(tag: str) -> bool:
    language = re.split("[-_]", tag)[0]
    return bool(_LANGUAGE.fullmatch(tag)) and (len(language) == 3 or is_language(language))
