"""Picture order counts, read from the headers of HEVC slices (ITU-T H.265, 7.3)."""

from __future__ import annotations

from collections.abc import Iterator

from vidsearch.media.pyav.nal_units import SLICE_HEAD, Bits, NalUnits

__all__ = ["PictureOrder"]

_SLICES = 32
_KEYS = range(16, 24)
_IDR = frozenset({19, 20})
_444 = 3
_HVCC_HEAD = 23
_PROFILE_BITS, _LEVEL_BITS = 88, 8
_MOST_LAYERS = 8


class PictureOrder:
    """Reads the picture order count of one access unit after the other.

    Args:
        extradata: of the codec.
    """

    def __init__(self, extradata: bytes) -> None:
        self._units = NalUnits(extradata, is_hevc=True)
        self._bits: int | None = None
        self._has_planes = False
        self._extra_bits = dict[int, tuple[bool, int]]()
        """By the number of the picture parameter set: whether slices have an output flag, and how
        many bits are reserved."""
        for unit in _parameter_sets(extradata):
            self._learn(unit)

    @property
    def count(self) -> int:
        """The counts are modulo this."""
        return 1 << (self._bits or _LEVEL_BITS)

    def of(self, packet: memoryview) -> int | None:
        """That of an access unit; ``None`` if it is not found."""
        for unit in self._units.of(packet):
            kind = unit[0] >> 1 & 63
            if kind in _IDR:
                return 0
            if kind < _SLICES:
                return self._of_slice(unit, kind)
            self._learn(unit)
        return None

    def _learn(self, unit: bytes) -> None:
        try:
            match unit[0] >> 1 & 63:
                case 33:
                    self._bits, self._has_planes = _sequence_parameters(Bits(unit))
                case 34:
                    read = Bits(unit)
                    read.fixed(16)
                    number = read.number()
                    read.number(), read.fixed(1)
                    self._extra_bits[number] = bool(read.fixed(1)), read.fixed(3)
        except ValueError:
            pass  # damaged

    def _of_slice(self, unit: bytes, kind: int) -> int | None:
        read = Bits(unit[:SLICE_HEAD])
        try:
            read.fixed(16)
            is_first = read.fixed(1)
            read.fixed(kind in _KEYS)
            parameters = self._extra_bits.get(read.number())
            if not is_first or parameters is None or self._bits is None:
                return None
            has_output_flag, reserved = parameters
            read.fixed(reserved)
            read.number()
            read.fixed(has_output_flag + 2 * self._has_planes)
            return read.fixed(self._bits)
        except ValueError:
            return None


def _sequence_parameters(read: Bits) -> tuple[int, bool]:
    """Bits of a picture order count, and whether the planes of a picture are coded apart."""
    read.fixed(16 + 4)
    layers = read.fixed(3)
    read.fixed(1 + _PROFILE_BITS + _LEVEL_BITS)
    if layers:
        sub_layers = [(read.fixed(1), read.fixed(1)) for _ in range(_MOST_LAYERS)][:layers]
        for has_profile, has_level in sub_layers:
            read.fixed(_PROFILE_BITS * has_profile + _LEVEL_BITS * has_level)
    read.number()
    has_planes = read.number() == _444 and bool(read.fixed(1))
    read.number(), read.number()
    if read.fixed(1):
        read.number(), read.number(), read.number(), read.number()
    read.number(), read.number()
    return read.number() + 4, has_planes


def _parameter_sets(extradata: bytes) -> Iterator[bytes]:
    if extradata[:1] != b"\1":
        yield from (unit for unit in extradata.split(b"\0\0\1") if unit)
        return
    at = _HVCC_HEAD  # arrays of units, each after its length, ISO/IEC 14496-15
    for _ in range(extradata[at - 1] if len(extradata) > at else 0):
        units = int.from_bytes(extradata[at + 1 : at + 3], "big")
        at += 3
        for _ in range(units):
            begin = at + 2
            at = begin + int.from_bytes(extradata[at:begin], "big")
            if unit := extradata[begin:at]:
                yield unit
