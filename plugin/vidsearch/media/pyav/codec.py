"""How a codec is set up, and what may be skipped in it without a change to other frames."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from vidsearch.media.frames import MediaLimits
from vidsearch.media.pyav.container import Video

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext

__all__ = ["hevc_layers", "prepare", "skips_exactly"]

_ALIGNMENT = 64
# Tested frame by frame. In VP8, VP9 and AV1 there is next to nothing to skip: what is not displayed
# is referred to, and what a skipped frame would teach the decoder (segment maps) is lost.
_EXACT = frozenset({"h264", "hevc", "mpeg4", "mpeg2video", "mpeg1video"})
_LOSE_MARKS = frozenset({"h264", "mpeg4", "rv30", "rv40"})
"""Decoders that mark the frames that they patched up, but with several threads not always: one
marks its own copy of a frame, and another gives the frame out."""
_SILENT = frozenset({"mjpeg"})
"""Decoders that give a frame for a packet in which they find damage, without a mark, unless they
are told to give none."""
_STRICT = {"err_detect": "explode"}
_TRIED = 9
"""Packets at the beginning, of which most have to decode so: there are cameras that leave out the
last pixels of every frame."""
_HEVC_VPS = 32
_NO_PIXELS = {"skip_loop_filter": "all", "skip_idct": "all"}
"""Options of a codec whose frames are looked at for damage alone."""


def prepare(
    video: Video, *, limits: MediaLimits, threads: int, are_drawn: bool = True
) -> VideoCodecContext:
    """The stream's codec, not opened yet, so set up that it allocates no larger picture, and that
    its threads hide no damage.

    Where the frames are not drawn, it does without steps that nothing else depends on.
    """
    codec = video.stream.codec_context
    if codec.name in _LOSE_MARKS:
        threads = 1
    codec.thread_count = threads
    codec.thread_type = "AUTO" if threads > 1 else "NONE"
    # The codec counts rows and columns that are cut off before display, too.
    width, height = video.coded_size
    spare = _ALIGNMENT * (width + height + _ALIGNMENT)
    options = {
        **codec.options,
        "max_pixels": str(limits.max_pixels + spare),
        **({} if are_drawn else _NO_PIXELS),
    }
    if codec.name in _SILENT and _decodes_with(video, {**options, **_STRICT}):
        options |= _STRICT
    codec.options = options
    return codec


def _decodes_with(video: Video, options: dict[str, str]) -> bool:
    """Whether most packets at the beginning of the stream decode with options of the codec."""
    import av

    right = wrong = 0
    with video.reopened() as again, suppress(av.FFmpegError, IndexError):
        codec = again.stream.codec_context
        codec.thread_count, codec.options = 1, options
        for packet in again.container.demux(again.stream):
            if packet.size:
                try:
                    codec.decode(packet)
                    right += 1
                except av.FFmpegError:
                    wrong += 1
            if max(right, wrong) > _TRIED // 2:
                break
    return right >= wrong


def skips_exactly(video: Video) -> bool:
    """Whether the frames that the codec calls non-reference can be skipped and all others come out
    the same, byte for byte.
    """
    codec = video.stream.codec_context
    if codec.name == "hevc":
        # With temporal layers, "non-reference" is said of a frame's own layer only.
        return hevc_layers(codec.extradata or b"") == 1
    return codec.name in _EXACT


def hevc_layers(extradata: bytes) -> int | None:
    """Temporal layers of an HEVC stream; ``None`` where it does not say."""
    if len(extradata) > 22 and extradata[0] == 1:  # hvcC, ISO/IEC 14496-15
        return (extradata[21] >> 3 & 7) or None
    at = extradata.find(b"\x00\x00\x01" + bytes([_HEVC_VPS << 1]))  # a byte stream, ITU-T H.265
    if at < 0 or len(extradata) < at + 7:
        return None
    return (extradata[at + 6] >> 1 & 7) + 1
