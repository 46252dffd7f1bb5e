"""Subtitles of a file beside the video."""

from __future__ import annotations

import codecs
import logging
import re
from pathlib import Path

from vidsearch.errors import MissingExtraError
from vidsearch.media.frames import Cue
from vidsearch.media.subtitles.lines import Line, cues_of

__all__ = ["sidecar_cues"]

_log = logging.getLogger(__name__)

_MOST_BYTES = 16 * 2**20
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BLANK_LINES = re.compile(r"\n{3,}")


def sidecar_cues(path: Path) -> tuple[Cue, ...]:
    """Lines of a SubRip (``.srt``) or WebVTT (``.vtt``) file; its content says which it is.

    UTF-8 and UTF-16 are recognised; anything else is read as Windows-1252. A file that cannot be
    read, is larger than 16 MiB or holds no line is no reason to go without the video: it is logged
    as a warning, and there are no lines.

    Raises:
        MissingExtraError: pysubs2 is not installed.
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
    text = _decoded(data)
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


def _decoded(data: bytes) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    if b"\0" in data[:4]:  # UTF-16 without a mark: every other byte of a number or "WEBVTT" is 0
        return data.decode("utf-16-be" if data[:1] == b"\0" else "utf-16-le", errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _payload(text: str, *, is_vtt: bool) -> str:
    # In WebVTT a blank line ends the text; what follows is a comment or the next line's name.
    return text.partition(r"\N\N")[0] if is_vtt else text
