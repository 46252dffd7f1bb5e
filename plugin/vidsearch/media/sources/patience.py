"""How long a server may keep a worker busy."""

from __future__ import annotations

import time
from dataclasses import dataclass

from vidsearch.errors import SourceUnavailableError

__all__ = ["USUAL", "Pace", "Patience"]


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits in seconds and bytes. Videos are long, so none of them is tight."""

    connect: float = 15.0
    """To connect, whatever the number of addresses; and again for the TLS handshake."""
    silence: float = 60.0
    """Without a byte; and until the whole head of an answer is there."""
    window: float = 60.0
    """Every stretch of so long must bring ``window_bytes``, or the server is too slow. Together
    with ``silence``, a drip of bytes is given up after two minutes."""
    window_bytes: int = 1 << 20
    total: float = 6 * 3600.0
    """For the whole video, redirects and resumed parts included."""
    resumes: int = 4
    """Times that a broken download is taken up again."""
    pause: float = 0.5
    """Before the first of them; it doubles."""


USUAL = Patience()
"""What holds outside of tests."""


class Pace:
    """Watches one download.

    Args:
        where: the URI as it may be shown.
        patience: the limits.
    """

    def __init__(self, where: str, patience: Patience) -> None:
        self._where = where
        self._patience = patience
        self._ends = time.monotonic() + patience.total
        self._head_by: float | None = None
        self._since: float | None = None
        self._bytes = 0

    def asked(self) -> None:
        """A request goes out: its head must come in time."""
        self._head_by = time.monotonic() + self._patience.silence
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
        return max(0.001, min(self._patience.silence, left))

    def require_time(self) -> None:
        """Whether there is any left.

        Raises:
            SourceUnavailableError: for the head of the answer, or for the whole video.
        """
        now = time.monotonic()
        if now >= self._ends:
            raise SourceUnavailableError(
                f"{self._where} was given up: not complete after {self._patience.total:g} s"
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
        if seconds < self._patience.window:
            return
        if self._bytes < self._patience.window_bytes:
            raise SourceUnavailableError(
                f"{self._where} is too slow: {self._bytes} bytes in {seconds:.1f} s"
            )
        self._since, self._bytes = self._since + seconds, 0
