"""Packets that a stream lacks, told by the numbers that its frames bear."""

from __future__ import annotations

from vidsearch.media.pyav.container import Video
from vidsearch.media.pyav.packets import PacketIndex
from vidsearch.media.pyav.plan import Presentation


def missing_packets(video: Video, index: PacketIndex, order: Presentation | None) -> list[int]:
    return []
