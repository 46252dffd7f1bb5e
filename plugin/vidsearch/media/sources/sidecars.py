"""Subtitle files that stand beside a video, known by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

__all__ = ["SIDECAR_BYTES", "choose_sidecars"]

SIDECAR_BYTES = 5 * 2**20
"""Maximum number of bytes of a subtitle file; larger files are not read."""

_MOST = 32
_AFTER_STEM = re.compile(
    r"(?:\.(?!(?:sdh|cc|hi)\.)(?P<language>[a-z]{2,3}(?:[-_][a-z0-9]{2,8})*))?"
    r"(?:\.(?P<kind>default|sdh|cc|hi|forced))?"
    r"\.(?P<format>srt|vtt)",
    re.IGNORECASE,
)
_KINDS = ("default", "", "sdh", "cc", "hi", "forced")


def choose_sidecars(video: str, names: Iterable[str]) -> tuple[str, ...]:
    """The file names that are subtitles of the video, best first; at most 32.

    For ``talk.mp4`` these are ``talk.srt``, ``talk.en.vtt``, ``talk.pt-BR.forced.srt``, …: no
    language tag first, then by language; per language the plain text before that for the deaf
    (``sdh``, ``cc``, ``hi``) and that of foreign speech only (``forced``); ``.srt`` before
    ``.vtt``.
    """
    stem = PurePosixPath(video).stem
    found = []
    for name in names:
        if not name.startswith(stem):
            continue
        match = _AFTER_STEM.fullmatch(name, len(stem))
        if match and name != video:
            kind = _KINDS.index((match["kind"] or "").lower())
            found.append(((match["language"] or "").lower(), kind, match["format"].lower(), name))
    return tuple(name for *_, name in sorted(found)[:_MOST])
