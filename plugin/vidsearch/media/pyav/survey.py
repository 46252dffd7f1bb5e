"""What the packets say of a video: its frames' times, and which of them are wanted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidsearch.media.display import Points, ascending_seconds, refuse_too_long
from vidsearch.media.frames import MediaLimits
from vidsearch.media.pyav.container import Video
from vidsearch.media.pyav.packets import PacketIndex, step_of
from vidsearch.media.pyav.plan import Presentation, plan_packets

__all__ = ["Survey"]


@dataclass(frozen=True, slots=True, repr=False)
class Survey:
    """Frames by number, in the order of presentation."""

    index: PacketIndex
    order: Presentation
    seconds: NDArray[np.float64]
    """When each frame comes on display, from 0."""
    end: float
    """When the last one leaves it, in seconds."""
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
        seconds = ascending_seconds(
            np.asarray(order.stamps * float(index.time_base)), step=step_of(video)
        )
        end = float(seconds[-1]) + index.last_duration
        refuse_too_long(video.name, end, limits)
        return cls(
            index=index,
            order=order,
            seconds=seconds,
            end=end,
            numbers=points.numbers(seconds, end=end),
        )

    def number(self, stamp: int) -> int:
        """Of the frame on display at a time stamp; -1 before the first."""
        return int(np.searchsorted(self.order.stamps, stamp, side="right")) - 1

    def actions(self) -> NDArray[np.uint8]:
        """The plan: what to do with each packet."""
        wanted = self.order.packets[np.unique(self.numbers)]
        return plan_packets(self.index.stamps, self.index.keys, wanted)
