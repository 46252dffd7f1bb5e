"""Timeouts of downloads, and the lowest speed that is accepted."""

from __future__ import annotations

import time
from dataclasses import dataclass

from vidsearch.errors import SourceUnavailableError

__all__ = ["DEFAULT_TIMEOUTS", "TransferClock", "Timeouts"]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits of a download. Videos are long, so none of them is tight."""

    connect: float = 15.0
    """Seconds to connect, whatever the number of addresses; and again for the TLS handshake."""
    silence: float = 60.0
    """Seconds without a byte, and until the whole head of an answer is there."""
    interval: float = 60.0
    """Seconds within which ``interval_bytes`` must arrive, or the server is too slow. Together with
    ``silence``, a drip of bytes is given up after two minutes."""
    interval_bytes: int = 1 << 20
    total: float = 6 * 3600.0
    """Seconds for the whole video, redirects and resumed parts included."""
    resumes: int = 4
    """Number of times that a broken download is resumed."""
    part_bytes: int = 1 << 16
    """Bytes that a server gives at once, where it gives less than the rest that was asked for; with
    fewer, it counts as a break."""
    pause: float = 0.5
    """Seconds before the first of them; it doubles."""


DEFAULT_TIMEOUTS = Timeouts()
"""The timeouts in production."""


class TransferClock:
    """Measures one download against the timeouts.

    Args:
        where: the URI as it may be shown.
        timeouts: the limits.
    """

    def __init__(self, where: str, timeouts: Timeouts) -> None:
        self._where = where
        self._timeouts = timeouts
        self._ends = time.monotonic() + timeouts.total
        self._head_by: float | None = None
        self._since: float | None = None
        self._bytes = 0

    def asked(self) -> None:
        """A request goes out: its head must come in time."""
        self._head_by = time.monotonic() + self._timeouts.silence
        self._since = None

    def answered(self) -> None:
        """The head is there; from now on the speed counts."""
        self._head_by = None
        self._since, self._bytes = time.monotonic(), 0

    def wait(self) -> float:
        """Seconds that the next read may take."""
        now = time.monotonic()
        left = self._ends - now
        if self._head_by is not None:
            left = min(left, self._head_by - now)
        return max(0.001, min(self._timeouts.silence, left))

    def require_time(self) -> None:
        """Whether there is any left.

        Raises:
            SourceUnavailableError: for the head of the answer, or for the whole video.
        """
        now = time.monotonic()
        if now >= self._ends:
            raise SourceUnavailableError(
                f"{self._where} was given up: not complete after {self._timeouts.total:g} s"
            )
        if self._head_by is not None and now >= self._head_by:
            raise SourceUnavailableError(f"{self._where} did not answer in time")

    def count(self, size: int) -> None:
        """So many bytes came in.

        Raises:
            SourceUnavailableError: they were too few for the time, or the time is over.
        """
        self.require_time()
        if self._since is None:
            return
        self._bytes += size
        seconds = time.monotonic() - self._since
        if seconds < self._timeouts.interval:
            return
        if self._bytes < self._timeouts.interval_bytes:
            raise SourceUnavailableError(
                f"{self._where} is too slow: {self._bytes} bytes in {seconds:.1f} s"
            )
        self._since, self._bytes = self._since + seconds, 0
