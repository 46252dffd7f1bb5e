"""HDR (PQ, HLG) and wide gamuts (BT.2020, P3) become SDR in the gamut of BT.709, as in OpenCV 5.

swscale maps such colours with a table that takes seconds of CPU to fill, and that belongs to one
size, pixel format and mastering display. So converters are kept from video to video.

This is FFmpeg's filter ``scale``. PyAV's reformatter gives the destination the mastering display of
the source, which leaves HDR as dark as it was.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import av
    from av.filter import Graph
    from av.video.reformatter import VideoReformatter

__all__ = ["SdrConverter", "is_exotic", "is_wide", "nearest_matrix"]

# Numbers of ITU-T H.273.
_BT709, _UNKNOWN, _BT2020 = 1, 2, 9
_HDR = frozenset({16, 18})
"""Transfer characteristics PQ and HLG."""
_LOG = frozenset({9, 10})
"""Logarithmic transfer characteristics, which swscale refuses; passed over."""
_NARROW = frozenset({1, 2, 4, 5, 6, 7})
"""Primaries that are near enough to those of BT.709 for swscale to keep them."""
_RESERVED = frozenset(range(13, 22))
"""Primaries that H.273 does not define, and that end the process in FFmpeg 8; others of that kind
are refused by it."""
_NOT_IN_SWSCALE = frozenset({8, *range(10, 18)})
"""Matrices that are no matrix of luma and two colour differences: YCgCo, constant luminance, …"""

_KEPT_PIXELS = 1 << 24
"""Of all frames that the kept converters of a thread are for; each takes 16 bytes."""
_LOCATIONS = ("left", "topleft", "center", "top", "bottomleft", "bottom")
"""Of chroma samples, the usual ones first."""

_LONG_WAY = "rgba64le"
_ANY_TIME_BASE = Fraction(1, 1000)

_Key = tuple[int, int, tuple[object, ...]]
"""Width, height, and what else the table depends on."""


def is_wide(frame: av.VideoFrame) -> bool:
    """Whether the frame is HDR or of a wide gamut."""
    return frame.color_trc in _HDR or frame.color_primaries not in _NARROW


def is_exotic(frame: av.VideoFrame) -> bool:
    """Whether swscale refuses the frame's colours, so that a near relative has to stand in."""
    return nearest_matrix(frame) is not None or frame.color_trc in _LOG


def nearest_matrix(frame: av.VideoFrame) -> int | None:
    """What stands in for a matrix that swscale does not know; ``None`` where it knows it."""
    if frame.colorspace not in _NOT_IN_SWSCALE:
        return None
    return _BT2020 if frame.colorspace in (10, 13, 14) else _BT709


class SdrConverter:
    """Converts the frames of one stream.

    Args:
        reformatter: tells where chroma samples lie.
    """

    def __init__(self, reformatter: VideoReformatter) -> None:
        self._reformatter = reformatter
        self._location = ""
        self._mastering = b""

    def to_bgr(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame in SDR, ``bgr24``.

        Raises:
            av.FFmpegError: swscale cannot read the frame's format.
            ValueError: this FFmpeg does not know such colours.
        """
        if frame.color_primaries in _RESERVED:
            raise ValueError(f"there are no colour primaries {frame.color_primaries}")
        if not self._location:
            self._location = self._find_location(frame)
            # Once per stream, as PyAV's side data and its frame hold each other.
            mastering: Any = frame.side_data.get("MASTERING_DISPLAY_METADATA")
            self._mastering = bytes(mastering or b"")
        # Where the destination is left open, swscale chooses: as OpenCV does.
        options = f"{_read_as(frame, self._location)}:out_primaries=2:out_transfer=2"
        if frame.color_trc in _LOG:
            options += f":in_transfer={_UNKNOWN}"
        return _KEPT.convert(frame, options, mastering=self._mastering)

    def _find_location(self, frame: av.VideoFrame) -> str:
        """Where the chroma samples lie. PyAV heeds it and does not tell, up to 18.1 at least; it is
        where the filter draws noise as PyAV does.
        """
        if frame.format.chroma_width(2) == 2 and frame.format.chroma_height(2) == 2:
            return "unknown"
        side = 34 if frame.width != 34 else 36  # of the same size it would be the frame itself
        noise = self._reformatter.reformat(frame, width=side, height=side, threads=1)
        random = np.random.default_rng(0)
        for plane in noise.planes:
            samples = random.integers(0, 1 << 16, plane.buffer_size // 2, dtype=np.uint16)
            plane.update((samples & 0x3FF).tobytes().ljust(plane.buffer_size, b"\0"))
        # A format that swscale has no short way to, which would pass over the location.
        told = self._reformatter.reformat(
            noise, format=_LONG_WAY, src_colorspace=nearest_matrix(frame), interpolation="BICUBIC",
            threads=1,
        ).to_ndarray()  # fmt: skip
        for location in _LOCATIONS:
            options = f"{_read_as(frame, location)}:in_primaries=2:in_transfer=2"
            graph = _graph(noise, options, form=_LONG_WAY)
            graph.push(noise)
            if np.array_equal(graph.pull().to_ndarray(), told):
                return location
        return "unknown"


def _read_as(frame: av.VideoFrame, location: str) -> str:
    options = f"flags=bicubic:interl=-1:in_chroma_loc={location}"
    matrix = nearest_matrix(frame)
    return options if matrix is None else f"{options}:in_color_matrix={matrix}"


def _graph(frame: av.VideoFrame, options: str, *, form: str = "bgr24") -> Graph:
    from av.filter import Graph

    graph = Graph()
    graph.threads = 1
    graph.link_nodes(
        graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=_ANY_TIME_BASE
        ),
        graph.add("scale", options),
        graph.add("format", form),
        graph.add("buffersink"),
    ).configure()
    return graph


class _Kept(threading.local):
    """The converters that this thread used last."""

    def __init__(self) -> None:
        self._graphs: OrderedDict[_Key, Graph] = OrderedDict()

    def convert(self, frame: av.VideoFrame, options: str, *, mastering: bytes) -> av.VideoFrame:
        colours = (frame.color_trc, frame.color_primaries, frame.colorspace, frame.color_range)
        kind = (frame.format.name, frame.interlaced_frame, *colours, options, mastering)
        key = (frame.width, frame.height, kind)
        graph = self._graphs.pop(key, None) or _graph(frame, options)
        graph.push(frame)
        converted = graph.pull()
        self._graphs[key] = graph
        while len(self._graphs) > 1 and sum(w * h for w, h, _ in self._graphs) > _KEPT_PIXELS:
            self._graphs.popitem(last=False)
        return converted  # type: ignore[return-value]


_KEPT = _Kept()
