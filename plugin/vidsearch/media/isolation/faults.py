"""How a decoding process can fail, apart from the errors that it reports itself."""

from __future__ import annotations

import signal
from enum import Enum

__all__ = ["Blame", "DecodingProcessError", "fault_of_exit"]

_CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS")
_MEMORY_WORDS = ("bad_alloc", "out of memory", "cannot allocate memory", "memoryerror")


class Blame(Enum):
    """Who is to blame for the end of a process."""

    FILE = "the file"
    """It would happen again in any process."""
    HEAP = "the file, or one before it"
    """A crash may be the late consequence of what an earlier file did to the process's memory."""
    OUTSIDE = "somebody else"


class DecodingProcessError(Exception):
    """A decoding process that is of no use any more.

    Args:
        what: the rest of a sentence that begins with "the decoder".
        blame: who caused it.
        advice: what to do about it.
    """

    def __init__(self, what: str, *, blame: Blame, advice: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.blame = blame
        self.advice = advice

    @classmethod
    def out_of_memory(cls, megabytes: int) -> DecodingProcessError:
        """It wanted more than it may have."""
        return cls(
            "ran out of memory",
            blame=Blame.HEAP,
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
        return DecodingProcessError("stopped answering", blame=Blame.HEAP)
    if code >= 0:
        return DecodingProcessError(f"ended by itself (exit code {code})", blame=Blame.HEAP)
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    if name not in _CRASHES:
        return DecodingProcessError(
            f"was killed from outside ({name})",
            blame=Blame.OUTSIDE,
            advice="if this happens again, look for the kernel's out-of-memory killer",
        )
    # C++ libraries abort where memory runs out.
    if any(word in last_words.lower() for word in _MEMORY_WORDS):
        return DecodingProcessError.out_of_memory(megabytes)
    return DecodingProcessError(f"crashed ({name})", blame=Blame.HEAP)
