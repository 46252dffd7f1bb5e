"""What the packets say of a video: its frames' times, and which of them are wanted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidsearch.media.display import Points, refuse_too_long
from vidsearch.media.frames import MediaLimits
from vidsearch.media.pyav.container import Video
from vidsearch.media.pyav.packets import PacketIndex, read_packets
from vidsearch.media.pyav.plan import plan_packets
from vidsearch.media.pyav.timetable import Presentation, presentation

__all__ = ["Survey", "duration"]


def duration(video: Video) -> float | None:
    """How many seconds a video lasts, or ``None`` where the file does not say.

    Transport and program streams have no header that tells, and their clock may be set anew, so
    their packets are read.
    """
    order = presentation(read_packets(video)) if video.is_broadcast else ""
    return video.duration if isinstance(order, str) else order.end


@dataclass(frozen=True, slots=True, repr=False)
class Survey:
    """Frames by number, in the order of presentation."""

    index: PacketIndex
    order: Presentation
    numbers: NDArray[np.int64]
    """The frame of each sampling point."""

    @classmethod
    def of(
        cls,
        video: Video,
        index: PacketIndex,
        order: Presentation,
        points: Points,
        *,
        limits: MediaLimits,
    ) -> Survey:
        """Look at a whole video.

        Raises:
            VideoTooLargeError: it is too long; found before memory is taken for its points.
        """
        refuse_too_long(video.name, order.end, limits)
        numbers = points.numbers(order.seconds, end=order.end)
        return cls(index=index, order=order, numbers=numbers)

    def actions(self) -> NDArray[np.uint8]:
        """The plan: what to do with each packet."""
        wanted = self.order.packets[np.unique(self.numbers)]
        return plan_packets(self.index.stamps, self.index.keys, wanted)
