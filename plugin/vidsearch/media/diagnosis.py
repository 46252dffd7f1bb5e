"""Why a file does not open as a video, in words for the person who registered it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from vidsearch.media.ffmpeg_allowlist import AV_OPTIONS
from vidsearch.media.joined_files import joined_form
from vidsearch.media.mp4_boxes import (
    breaks_off_in,
    has_external_data,
    is_encrypted,
    is_mp4,
    is_still_picture,
    lacks_index,
)
from vidsearch.media.streams import why_no_video
from vidsearch.media.transport_packets import layout_of

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = ["ENCRYPTED", "why_no_stream", "why_not_a_video", "why_refused"]

ENCRYPTED = "is encrypted (DRM); register a copy without copy protection"
"""The rest of a sentence that begins with the file's name."""

_STILL = "is a still picture (HEIF or AVIF), not a video"
_NO_INDEX = (
    "is an MP4 or MOV without its index (moov): the recording or the upload broke off "
    "before the end, where the index is written"
)
_INCOMPLETE = "the recording, the upload or the download is not complete"
_BREAKS_OFF = {
    b"moov": f"is an MP4 or MOV that breaks off within its index (moov): {_INCOMPLETE}",
    b"moof": f"is a fragmented MP4 that breaks off within its first fragment: {_INCOMPLETE}",
}
_JOINED = (
    "is several {form} files one after the other, of which FFmpeg reads the first; join them with "
    "the concat demuxer of the ffmpeg command, or register each"
)
_SCRAMBLED = "is a scrambled broadcast (conditional access); register a descrambled copy"
_FORMS: tuple[tuple[bytes, str], ...] = (
    (b"....ftyp", "MP4 or MOV"),
    (b"FLV", "FLV"),
    (rb"\x1aE\xdf\xa3", "Matroska or WebM"),
    (b"RIFF", "AVI"),
    (b"OggS", "Ogg"),
    (rb"0&\xb2u\x8ef\xcf\x11", "ASF or WMV"),
    (rb"\0\0\x01[\xb3\xba]", "MPEG"),
    (rb"\x06\x0e\+4", "MXF"),
    (b"GIF8", "GIF"),
    (b"DKIF", "IVF"),
    (b"YUV4MPEG2", "YUV4MPEG"),
    (b"nut/multimedia", "NUT"),
    (rb"(?:....)?G.{187}(?:.{4}|.{16})?G", "MPEG transport stream"),
)
"""Patterns of first bytes."""
_TS_SCRAMBLED = 0xC0
_TS_BYTES = 1 << 20
_HEAD_BYTES = 4096

_ONLY_NAMES = "which only names other files or addresses; these are never followed"

_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"#extm3u", f"is a playlist (HLS or M3U), {_ONLY_NAMES}"),
    (b"ffconcat", f"is an ffconcat script, {_ONLY_NAMES}"),
    (b"[playlist]", f"is a playlist (PLS), {_ONLY_NAMES}"),
    (b"[internetshortcut]", f"is a link to a web page, {_ONLY_NAMES}"),
    (b"# vobsub index", "is a VobSub subtitle index, not a video"),
    (b"webvtt", "is a subtitle file (WebVTT), not a video"),
    (b"[script info]", "is a subtitle file (SubStation Alpha), not a video"),
    (b"%pdf", "is a PDF document, not a video"),
    (b"pk\x03\x04", "is a ZIP archive (or an office document), not a video; unpack it first"),
    (b"\x1f\x8b", "is a gzip archive, not a video; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive, not a video; unpack it first"),
    (b"rar!\x1a\x07", "is a RAR archive, not a video; unpack it first"),
    (b"\xff\xd8\xff", "is a still picture (JPEG), not a video"),
    (b"\x89png", "is a still picture (PNG), not a video"),
    (b"ii*\x00", "is a still picture (TIFF), not a video"),
    (b"mm\x00*", "is a still picture (TIFF), not a video"),
    (b"\xff\x0a", "is a still picture (JPEG XL), not a video"),
    (b"version https://git-lfs", "is a Git LFS pointer; fetch the file that it stands for"),
)
_MARKUP: tuple[tuple[str, str], ...] = (
    (r"<mpd\b", f"is a DASH manifest, {_ONLY_NAMES}"),
    (r"<(playlist|asx|smil|compositionplaylist|assetmap)\b", f"is a playlist, {_ONLY_NAMES}"),
    (r"<smoothstreamingmedia\b", f"is a Smooth Streaming manifest, {_ONLY_NAMES}"),
    (r"<(!doctype html|html|head|body)\b", "is a web page (HTML), not a video"),
    (r"<error>|<code>accessdenied", "is an error message of a storage service, not a video"),
    (r"<svg\b", "is a still picture (SVG), not a video"),
)
_SDP = re.compile(rb"v=0\r?\n.*?^m=\w+ \d+", re.DOTALL | re.MULTILINE)
_SRT = re.compile(rb"\d+\r?\n\d\d:\d\d:\d\d[,.]\d{3} --> ")
_TEXT = re.compile(rb"[\t\n\r\f\x20-\x7e\x80-\xff]+")
_BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def why_not_a_video(path: Path) -> str:
    """The rest of a sentence that begins with the file's name.

    OpenCV only says that it failed; PyAV, where it is installed, knows the reason.
    """
    if path.is_dir():
        return "is a folder, not a video"
    if not path.is_file():
        return "is not a regular file"
    try:
        if path.stat().st_size == 0:
            return "is empty (0 bytes)"
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        if is_still_picture(path):
            return _STILL
        if lacks_index(path):
            return _NO_INDEX
        if (box := breaks_off_in(path)) in _BREAKS_OFF:
            return _BREAKS_OFF[box]
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    form = _form(head)
    return (None if form else _sniffed(head)) or _what_ffmpeg_says(path, form)


def why_no_stream(path: Path, container: InputContainer) -> str:
    """Why a file that opens has no video that can be decoded; the rest of a sentence."""
    try:
        if (box := breaks_off_in(path)) in _BREAKS_OFF:
            return _BREAKS_OFF[box]
        if container.format.name == "mpegts" and _is_scrambled(path):
            return _SCRAMBLED
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return why_no_video(container)


def why_refused(path: Path) -> str | None:
    """Why a file that opens must not be decoded; the rest of a sentence, or ``None``.

    FFmpeg would take what is encrypted for damaged, and show the noise that decodes.
    """
    try:
        if form := joined_form(path):
            return _JOINED.format(form=form)
        if not is_mp4(path):
            return None
        if is_still_picture(path):
            return _STILL
        if is_encrypted(path):
            return ENCRYPTED
        if has_external_data(path):
            return "keeps its pictures in another file (a reference movie), which is never followed"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None


def _form(head: bytes) -> str | None:
    """The container that a file begins as; ``None`` for any other beginning."""
    found = (form for pattern, form in _FORMS if re.match(pattern, head, re.DOTALL))
    return None if head[8:12] == b"WEBP" else next(found, None)


def _is_scrambled(path: Path) -> bool:
    """Whether packets of a transport stream are marked as scrambled."""
    layout = layout_of(path)
    if layout is None:
        return False
    with path.open("rb") as file:
        head = file.read(_TS_BYTES)
    return any(flags & _TS_SCRAMBLED for flags in head[layout.begin + 3 :: layout.size])


def _what_ffmpeg_says(path: Path, form: str | None) -> str:
    try:
        import av
    except ImportError:
        return "cannot be opened as a video"
    try:
        with av.open(
            str(path.absolute()), options=dict(AV_OPTIONS), metadata_errors="replace"
        ) as container:
            return why_no_stream(path, container)
    except av.error.ArgumentError:  # not on the list of formats
        return "is in a format that is not read as video"
    except (av.FFmpegError, OSError):
        if form:
            return f"is not a readable video: it begins as {form}, then it is damaged or cut off"
        return "is not a readable video: its format is unknown, or its beginning is damaged"


def _sniffed(head: bytes) -> str | None:
    """What a file is by its first bytes; ``None`` for what is unknown here."""
    if not head.strip(b"\0"):
        return "begins with nothing but zero bytes: it was not copied or downloaded completely"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        if b"ANIM" in head[12:64]:
            return "is an animated WebP, which FFmpeg cannot read; convert it to GIF, PNG or MP4"
        return "is a still picture (WebP), not a video"
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "is a still picture (BMP), not a video"
    return _sniffed_text(_as_utf8(head).lstrip())


def _sniffed_text(head: bytes) -> str | None:
    lowered = head.lower()
    for beginning, what in _BEGINNINGS:
        if lowered.startswith(beginning):
            return what
    if not _TEXT.fullmatch(head):
        return None
    if lowered.startswith(b"<"):
        markup = lowered.decode("latin-1")
        for pattern, what in _MARKUP:
            if re.search(pattern, markup):
                return what
        return "is an XML file, not a video"
    if _SDP.match(head):
        return f"is an SDP session description, {_ONLY_NAMES}"
    if _SRT.match(head):
        return "is a subtitle file (SubRip), not a video"
    return "is a text file, not a video"


def _as_utf8(head: bytes) -> bytes:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return head.decode(encoding, errors="replace").encode()
    return head
