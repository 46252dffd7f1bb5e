"""How a decoding process can fail, apart from the errors that it reports itself."""

from __future__ import annotations

import signal
from enum import Enum

__all__ = ["Cause", "DecodingProcessError", "fault_of_exit"]

_CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS")
_MEMORY_WORDS = ("bad_alloc", "out of memory", "cannot allocate memory", "memoryerror")


class Cause(Enum):
    """What made a process end."""

    FILE = "the file"
    """It would happen again in any process."""
    FILE_OR_EARLIER = "the file, or one before it"
    """A crash may be the late consequence of what an earlier file did to the process's memory."""
    OUTSIDE = "another process or the system"


class DecodingProcessError(Exception):
    """A decoding process that is of no use any more.

    Args:
        what: the rest of a sentence that begins with "the decoder".
        cause: what made it end.
        advice: what to do about it.
    """

    def __init__(self, what: str, *, cause: Cause, advice: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.cause = cause
        self.advice = advice

    @classmethod
    def out_of_memory(cls, megabytes: int) -> DecodingProcessError:
        """It wanted more than it may have."""
        return cls(
            "ran out of memory",
            cause=Cause.FILE_OR_EARLIER,
            advice=f"ingest.decode_megabytes allows {megabytes} MB",
        )


def fault_of_exit(code: int | None, *, megabytes: int, last_words: str) -> DecodingProcessError:
    """Why a process ended that had work to do.

    Args:
        code: as ``Popen.returncode`` has it; ``None`` where it only closed its end of the pipe.
        megabytes: that it was allowed.
        last_words: what it printed.
    """
    if code is None:
        return DecodingProcessError("stopped answering", cause=Cause.FILE_OR_EARLIER)
    if code >= 0:
        return DecodingProcessError(
            f"ended by itself (exit code {code})", cause=Cause.FILE_OR_EARLIER
        )
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    if name not in _CRASHES:
        return DecodingProcessError(
            f"was killed from outside ({name})",
            cause=Cause.OUTSIDE,
            advice="if this happens again, look for the kernel's out-of-memory killer",
        )
    # C++ libraries abort where memory runs out.
    if any(word in last_words.lower() for word in _MEMORY_WORDS):
        return DecodingProcessError.out_of_memory(megabytes)
    return DecodingProcessError(f"crashed ({name})", cause=Cause.FILE_OR_EARLIER)
