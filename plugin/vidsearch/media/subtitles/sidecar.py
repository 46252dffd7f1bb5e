"""Subtitles of a file beside the video."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from vidsearch.errors import MissingExtraError
from vidsearch.media.frames import Cue
from vidsearch.media.subtitles.encoding import decoded
from vidsearch.media.subtitles.lines import Line, cues_of

__all__ = ["sidecar_cues"]

_log = logging.getLogger(__name__)

_MOST_BYTES = 16 * 2**20
_BLANK_LINES = re.compile(r"\n{3,}")


def sidecar_cues(path: Path) -> tuple[Cue, ...]:
    """Lines of a SubRip (``.srt``) or WebVTT (``.vtt``) file; its content says which it is.

    A file that cannot be read, is larger than 16 MiB, holds no line or is in no encoding that can
    be told is no reason to go without the video: it is logged as a warning, and there are no lines.

    Raises:
        MissingExtraError: pysubs2 or chardet is not installed.
    """
    try:
        import pysubs2
    except ImportError as error:
        raise MissingExtraError.of("worker", needed_for="reading subtitle files") from error
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        _log.warning("subtitles %s cannot be read (%s): left out", path, error.strerror)
        return ()
    if len(data) > _MOST_BYTES:
        _log.warning("subtitles %s are larger than %d bytes: left out", path, _MOST_BYTES)
        return ()
    text = decoded(data)
    if text is None:
        _log.warning("subtitles %s: their encoding cannot be told: left out; use UTF-8", path)
        return ()
    # Runs of blank lines would cost pysubs2 their number squared.
    text = _BLANK_LINES.sub("\n\n", "\n".join(line.rstrip() for line in text.splitlines()))
    is_vtt = text.startswith("WEBVTT")
    try:
        events = pysubs2.SSAFile.from_string(
            text, format_="vtt" if is_vtt else "srt", keep_html_tags=True
        )
    except (pysubs2.Pysubs2Error, ValueError, ArithmeticError) as error:
        _log.warning("subtitles %s cannot be read (%s): left out", path, error)
        return ()
    lines: list[Line] = [
        (event.start / 1000, event.end / 1000, _payload(event.text, is_vtt=is_vtt))
        for event in events
    ]
    cues = cues_of(lines)
    if not cues:
        _log.warning("subtitles %s hold no line in SubRip or WebVTT form: left out", path)
    return cues


def _payload(text: str, *, is_vtt: bool) -> str:
    # In WebVTT a blank line ends the text; what follows is a comment or the next line's name.
    return text.partition(r"\N\N")[0] if is_vtt else text
