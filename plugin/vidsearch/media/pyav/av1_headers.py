"""Order hints, read from the headers of AV1 frames (AV1 bitstream specification, 5.5 and 5.9)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from vidsearch.media.pyav.nal_units import Bits

__all__ = ["OrderHints"]

_SEQUENCE, _FRAME_HEADER, _FRAME = 1, 3, 6
"""Types of units (OBU)."""
_HEAD = 64
"""Bytes of a unit that are read."""
_CONFIGURATION = 4
"""Bytes before the units in the extradata of MP4 and Matroska (av1C)."""
_KEY, _INTRA_ONLY, _SWITCH = 0, 2, 3
"""Types of frames."""
_BY_FRAME = 2
"""The sequence leaves it to each frame."""
_ALL = 0xFF
_TIER_LEVEL = 7
"""Levels above have a tier."""


@dataclass(slots=True)
class _Sequence:
    """What the headers of frames are read with."""

    is_still: bool = False
    has_decoder_model: bool = False
    time_bits: int = 0
    """Of the time of presentation, where frames have one."""
    removal_bits: int = 0
    layers: list[int] = field(default_factory=list)
    """Of each operating point that has times of removal, which layers are in it."""
    id_bits: int = 0
    screen_content: int = _BY_FRAME
    whole_pixels: int = _BY_FRAME
    hint_bits: int = 0


class OrderHints:
    """Reads the order hint of the frame that each packet shows.

    Args:
        extradata: of the codec.
    """

    def __init__(self, extradata: bytes) -> None:
        self._sequence: _Sequence | None = None
        self._of_references = [0] * 8
        begin = _CONFIGURATION if extradata[:1] == b"\x81" else 0
        for kind, _, unit in _units(memoryview(extradata)[begin:]):
            if kind == _SEQUENCE:
                self._learn(unit)

    @property
    def count(self) -> int:
        """The hints are modulo this."""
        return 1 << (self._sequence.hint_bits if self._sequence else 0)

    def of(self, packet: memoryview) -> int | None:
        """That of the last frame of a packet that is shown; ``None`` if it is not found."""
        shown = None
        for kind, layer, unit in _units(packet):
            if kind == _SEQUENCE:
                self._learn(unit)
            elif kind in (_FRAME_HEADER, _FRAME) and self._sequence and self._sequence.hint_bits:
                try:
                    hint = self._read(Bits(unit, is_escaped=False), self._sequence, layer)
                except ValueError:
                    return None
                shown = hint if hint is not None else shown
        return shown

    def _learn(self, unit: bytes) -> None:
        with suppress(ValueError):  # it is damaged
            self._sequence = _sequence(Bits(unit, is_escaped=False))

    def _read(self, read: Bits, sequence: _Sequence, layer: int) -> int | None:
        """The hint of a frame; ``None`` if it is not shown."""
        if sequence.is_still:
            return None
        if read.fixed(1):  # one that was decoded before
            return self._of_references[read.fixed(3)]
        kind, is_shown = read.fixed(2), read.fixed(1)
        if is_shown:
            read.fixed(sequence.time_bits)
        else:
            read.fixed(1)
        is_start = kind == _SWITCH or (kind == _KEY and is_shown)
        is_resilient = is_start or read.fixed(1)
        read.fixed(1)
        is_screen = sequence.screen_content
        if is_screen == _BY_FRAME:
            is_screen = read.fixed(1)
        read.fixed(1 if is_screen and sequence.whole_pixels == _BY_FRAME else 0)
        read.fixed(sequence.id_bits)
        read.fixed(0 if kind == _SWITCH else 1)
        hint = read.fixed(sequence.hint_bits)
        read.fixed(0 if kind in (_KEY, _INTRA_ONLY) or is_resilient else 3)
        if sequence.has_decoder_model and read.fixed(1):
            for layers in sequence.layers:
                read.fixed(sequence.removal_bits if not layers or layers & layer == layer else 0)
        refreshed = _ALL if is_start else read.fixed(8)
        for number in range(8):
            if refreshed >> number & 1:
                self._of_references[number] = hint
        return hint if is_shown else None


def _units(packet: memoryview) -> Iterator[tuple[int, int, bytes]]:
    """The units of a packet: their types, the bits of their layers and their beginnings."""
    at = 0
    while at < len(packet):
        head = packet[at]
        at += 1
        layer = 1 | 1 << 8
        if head & 4:
            if at >= len(packet):
                return
            layer = 1 << (packet[at] >> 5) | 1 << (packet[at] >> 3 & 3) + 8
            at += 1
        length = len(packet) - at
        if head & 2:
            length = shift = 0
            while at < len(packet):
                byte = packet[at]
                at += 1
                length |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
        yield head >> 3 & 15, layer, bytes(packet[at : at + min(length, _HEAD)])
        at += length


def _sequence(read: Bits) -> _Sequence:
    found = _Sequence()
    read.fixed(3 + 1)
    found.is_still = bool(read.fixed(1))
    if found.is_still:
        return found
    is_even = delay_bits = 0
    if read.fixed(1):  # timing
        read.fixed(64)
        is_even = read.fixed(1)
        if is_even:
            read.number()
        found.has_decoder_model = bool(read.fixed(1))
        if found.has_decoder_model:
            delay_bits = read.fixed(5) + 1
            read.fixed(32)
            found.removal_bits = read.fixed(5) + 1
            found.time_bits = read.fixed(5) + 1
            if is_even:
                found.time_bits = 0
    has_display_delay = read.fixed(1)
    for _ in range(read.fixed(5) + 1):
        layers = read.fixed(12)
        if read.fixed(5) > _TIER_LEVEL:
            read.fixed(1)
        if found.has_decoder_model and read.fixed(1):
            read.fixed(2 * delay_bits + 1)
            found.layers.append(layers)
        if has_display_delay and read.fixed(1):
            read.fixed(4)
    width_bits, height_bits = read.fixed(4) + 1, read.fixed(4) + 1
    read.fixed(width_bits + height_bits)
    if read.fixed(1):
        delta_bits = read.fixed(4) + 2
        found.id_bits = delta_bits + read.fixed(3) + 1
    read.fixed(3 + 4)
    has_hints = read.fixed(1)
    read.fixed(2 if has_hints else 0)
    found.screen_content = _BY_FRAME if read.fixed(1) else read.fixed(1)
    if found.screen_content:
        found.whole_pixels = _BY_FRAME if read.fixed(1) else read.fixed(1)
    found.hint_bits = read.fixed(3) + 1 if has_hints else 0
    return found
