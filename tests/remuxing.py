"""Copies the packets of a clip into another file, with changes."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

__all__ = ["Change", "dropped", "evenly_timed", "remuxed"]

Change = Callable[[int, bytes], bytes | None]
"""What becomes of a packet, by its number in the order of decoding; ``None`` drops it."""

_DELAY = 4
"""Frames by which a frame is decoded before its time."""


def remuxed(source: Path, target: Path, change: Change) -> Path:
    import av

    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        stream = _copied(made, given.streams.video[0])
        packets = (packet for packet in given.demux(video=0) if packet.size)
        for number, packet in enumerate(packets):
            data = change(number, bytes(packet))
            if data is None:
                continue
            copy: Any = av.Packet(data)
            for name in ("pts", "dts", "duration", "time_base", "is_keyframe"):
                setattr(copy, name, getattr(packet, name))
            copy.stream = stream
            made.mux(copy)
    return target


def _copied(made: Any, template: Any) -> Any:
    is_decoder_only = template.codec_context.name == "libdav1d"
    return made.add_stream_from_template(template, opaque=is_decoder_only)


def dropped(*numbers: int) -> Change:
    return lambda number, data: None if number in numbers else data


def evenly_timed(source: Path, target: Path, *, rate: int) -> Path:
    """Copy the packets with time stamps that leave no gap, in the same order."""
    import av

    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        stream = _copied(made, given.streams.video[0])
        packets = [packet for packet in given.demux(video=0) if packet.size]
        order = sorted(packets, key=lambda packet: packet.pts or 0)
        ranks = {id(packet): rank for rank, packet in enumerate(order)}
        for number, packet in enumerate(packets):
            copy: Any = av.Packet(bytes(packet))
            copy.time_base, copy.is_keyframe, copy.stream = (
                Fraction(1, rate),
                packet.is_keyframe,
                stream,
            )
            copy.dts, copy.pts, copy.duration = number, ranks[id(packet)] + _DELAY, 1
            made.mux(copy)
    return target
