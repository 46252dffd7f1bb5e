"""One decoding process, as the worker holds it."""

from __future__ import annotations

import errno
import logging
import os
import select
import signal
import subprocess
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO

from vidsearch.errors import ConfigError, DecoderKilledError, VidsearchError
from vidsearch.media.isolation.environment import child_environment
from vidsearch.media.isolation.faults import Cause, DecodingProcessError, fault_of_exit
from vidsearch.media.isolation.logs import LOGGER, log_again
from vidsearch.media.isolation.protocol import (
    LENGTH,
    MOST_BYTES,
    OUT_OF_MEMORY,
    UNEXPECTED,
    Message,
    ProtocolError,
    Setup,
    error_from,
    pack,
    unpack,
)

__all__ = ["DecodingProcess"]

_log = logging.getLogger(__name__)

_START_SECONDS = 60.0
_GRACE_SECONDS = 5.0
_PIPE_BYTES = 1 << 20
_LAST_WORDS = 8192
_LEAST_READ = 1 << 16
"""Bytes read within the stall time that count as progress."""
_MOST_READS = 100
"""Times the size of a file that may be read, so that a circle in it ends. Badly interleaved files
are read many times over."""
_BLIND_FACTOR = 60
"""Multiple of the stall time for a request that answers at its end only, where reading is not
seen."""


class DecodingProcess:
    """A child that serves one request at a time, and is thrown away once something went wrong.

    Args:
        setup: of the decoder and its limits.
        stall_seconds: after which a decoder without progress is given up.
        command: that starts the child.

    Raises:
        ConfigError: it does not start here.
        DecoderKilledError: it was killed meanwhile, or the machine is too busy.
    """

    def __init__(self, setup: Setup, *, stall_seconds: float, command: Sequence[str]) -> None:
        self.has_read_others = False
        """Whether it was asked for another file than the one it is asked for now."""
        self._path: Path | None = None
        self._setup = setup
        self._stall = stall_seconds
        self._last_words = b""
        self._deadline = 0.0
        self._timeout = 0.0
        self._read_before = self._read_at_most = 0
        self._owner = os.getpid()
        self._popen, self._pipes = _started(command)
        self.end = weakref.finalize(self, _end, self._popen, self._pipes, self._owner)
        """Call it to kill the child; nothing of what it works on is worth waiting for."""
        _living.add(self)
        self._in, self._out, self._err = (pipe.fileno() for pipe in self._pipes[:3])
        self._poll = select.poll()
        self._poll.register(self._out, select.POLLIN)
        self._poll.register(self._err, select.POLLIN)
        try:
            self._greet()
        except BaseException:
            self.end()
            raise
        self._megabytes_at_first = _megabytes_held(self.pid) or 0.0

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._popen.pid

    @property
    def is_usable(self) -> bool:
        """Whether it runs, was started by this process (not before a fork), and is not bloated."""
        if self._owner != os.getpid() or not self.end.alive or self._popen.poll() is not None:
            return False
        # What a file left behind in memory must not be charged to the next.
        grown = (_megabytes_held(self.pid) or 0.0) - self._megabytes_at_first
        return grown <= (self._setup.megabytes - self._megabytes_at_first) / 2

    def ask(self, request: Message, path: Path, *, steady: bool) -> Iterator[Message]:
        """Send a request and yield its answers.

        Args:
            request: see :mod:`~vidsearch.media.isolation.protocol`.
            path: of the file that it is about.
            steady: whether answers come while it works, rather than all at its end.

        Raises:
            DecodingProcessError: the process is of no use any more.
            ProtocolError: nor is it here.
            VidsearchError: what the decoder says of the file; the process is fine.
        """
        self.has_read_others |= self._path not in (None, path)
        self._path = path
        blind = not steady and _bytes_read(self.pid) is None
        self._timeout = self._stall * (_BLIND_FACTOR if blind else 1)
        self._read_before = _bytes_read(self.pid) or 0
        with suppress(OSError):  # the decoder will say what is wrong with the file
            self._read_at_most = self._read_before + (1 << 30) + _MOST_READS * path.stat().st_size
        level = logging.getLogger(LOGGER).getEffectiveLevel()
        self._send({**request, "path": str(path.absolute()), "level": level})
        while "done" not in (message := self._message()):
            if "error" in message:
                raise self._error(message)
            yield message

    def read_into(self, room: memoryview) -> None:
        """Fill ``room`` with the bytes that follow the latest answer.

        Raises:
            DecodingProcessError: they do not come.
        """
        while room:
            self._wait()
            read = os.readv(self._out, [room])
            if not read:
                raise self._death()
            room = room[read:]

    def _greet(self) -> None:
        self._timeout = _START_SECONDS
        try:
            self._send(asdict(self._setup))
            message = self._message()
            if "error" in message:
                raise self._error(message)
        except (DecodingProcessError, ProtocolError) as error:
            if isinstance(error, DecodingProcessError) and error.cause is Cause.OUTSIDE:
                raise DecoderKilledError(f"the decoding process {error.what}") from error
            *_, last = self._words().splitlines() or ["it said nothing"]
            raise ConfigError(
                f"the decoding process does not start: {error} ({last.strip()}). "
                "Where none can be had, set ingest.isolate = false"
            ) from error

    def _send(self, message: Message) -> None:
        view = memoryview(pack(message))
        with suppress(BrokenPipeError):  # what it said before it ended is still to be read
            while view:
                view = view[os.write(self._in, view) :]

    def _message(self) -> Message:
        self._deadline = time.monotonic() + self._timeout
        while True:
            (length,) = LENGTH.unpack(self._exactly(LENGTH.size))
            if length > MOST_BYTES:
                raise ProtocolError(f"a message of {length} bytes")
            message = unpack(self._exactly(length))
            if "log" not in message:
                return message
            log_again(message)

    def _exactly(self, size: int) -> bytearray:
        received = bytearray(size)
        self.read_into(memoryview(received))
        return received

    def _wait(self) -> None:
        """Until there is something to read."""
        while True:
            left = self._deadline - time.monotonic()
            if left <= 0:
                if not self._progressed():
                    raise self._stuck()
                self._deadline = time.monotonic() + self._timeout
                continue
            ready = {pipe for pipe, _ in self._poll.poll(min(left, 3600) * 1000 + 1)}
            if self._err in ready:
                self._listen()
            if self._out in ready:
                return

    def _progressed(self) -> bool:
        # The index of a large file on a slow disk, or a long stretch without a frame that is
        # wanted: as long as the file is read, something happens.
        before, self._read_before = self._read_before, _bytes_read(self.pid) or 0
        return before + _LEAST_READ <= self._read_before <= self._read_at_most

    def _listen(self) -> None:
        words = os.read(self._err, _LAST_WORDS)
        if not words:
            self._poll.unregister(self._err)
        self._last_words = (self._last_words + words)[-_LAST_WORDS:]

    def _words(self) -> str:
        return self._last_words.decode(errors="replace").strip()

    def _stuck(self) -> DecodingProcessError:
        self._tell()
        if not self._path:
            return DecodingProcessError(
                f"was not ready within {self._timeout:g} s", cause=Cause.OUTSIDE
            )
        return DecodingProcessError(
            "was stuck",
            cause=Cause.FILE,
            advice=f"no progress for {self._timeout:g} s (ingest.stall_seconds)",
        )

    def _death(self) -> DecodingProcessError:
        code = None
        with suppress(subprocess.TimeoutExpired):
            code = self._popen.wait(_GRACE_SECONDS)
        if code is not None:
            os.set_blocking(self._err, False)
            with suppress(BlockingIOError, KeyError):
                while True:
                    self._listen()  # to its end, where it is no longer watched
        self._tell()
        return fault_of_exit(code, megabytes=self._setup.megabytes, last_words=self._words())

    def _error(self, message: Message) -> DecodingProcessError | VidsearchError:
        if message["error"] == OUT_OF_MEMORY:
            return DecodingProcessError.out_of_memory(self._setup.megabytes)
        if message["error"] == UNEXPECTED:
            _log.error("the decoding process failed:\n%s", message.get("traceback"))
            return DecodingProcessError(
                f"failed unexpectedly ({message.get('text')})", cause=Cause.FILE_OR_EARLIER
            )
        return error_from(message)

    def _tell(self) -> None:
        if self._last_words:
            _log.warning("last words of decoding process %d:\n%s", self.pid, self._words())

    def _abandon(self) -> None:
        # In a forked process: the child belongs to the process before the fork, and must notice
        # when that one ends.
        self.end.detach()
        self._popen.returncode = 0
        for pipe in self._pipes:
            pipe.close()


_living: weakref.WeakSet[DecodingProcess] = weakref.WeakSet()


def _abandon_all() -> None:
    for process in list(_living):
        process._abandon()
    _living.clear()


os.register_at_fork(after_in_child=_abandon_all)


def _started(command: Sequence[str]) -> tuple[subprocess.Popen[bytes], list[IO[bytes]]]:
    """The child, and this side of its standard streams and of its lifeline."""
    read_end, write_end = os.pipe()  # nothing is sent over it: when it closes, the child ends
    lifeline = os.fdopen(write_end, "wb", buffering=0)
    try:
        popen = _spawned(command, lifeline=read_end)
    except BaseException:
        lifeline.close()
        raise
    finally:
        os.close(read_end)
    assert popen.stdin
    assert popen.stdout
    assert popen.stderr
    _enlarge(popen.stdout.fileno())
    return popen, [popen.stdin, popen.stdout, popen.stderr, lifeline]


def _spawned(command: Sequence[str], *, lifeline: int) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [*command, str(lifeline)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd="/",
            env=child_environment(),
            start_new_session=True,  # Ctrl-C is for the worker
            pass_fds=(lifeline,),
        )
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.ENOMEM):
            raise DecoderKilledError(
                f"no decoding process can be started: {error.strerror}"
            ) from error
        raise ConfigError(
            f"the decoding process cannot be started with {command[0]!r}: {error.strerror}. "
            "Where none can be had, set ingest.isolate = false"
        ) from error


def _enlarge(pipe: int) -> None:
    """Let more of a frame wait in the pipe, so that both sides wake up less often."""
    import fcntl

    size = getattr(fcntl, "F_SETPIPE_SZ", 1031)  # in Python from 3.10 on
    with suppress(OSError):  # more than an unprivileged user may have, or no Linux
        fcntl.fcntl(pipe, size, _PIPE_BYTES)


def _end(popen: subprocess.Popen[bytes], pipes: Sequence[IO[bytes]], owner: int) -> None:
    if os.getpid() == owner and popen.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(popen.pid, signal.SIGKILL)
        try:
            popen.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:  # it waits for a disk
            _log.warning("decoding process %d does not end", popen.pid)
    for pipe in pipes:
        pipe.close()


def _bytes_read(pid: int) -> int | None:
    """Bytes that a process has read so far, from the disk or its cache; ``None`` but on Linux."""
    try:
        text = Path(f"/proc/{pid}/io").read_text()
    except OSError:
        return None
    return int(text.split("rchar:", 1)[1].split(None, 1)[0])


def _megabytes_held(pid: int) -> float | None:
    """Address space of a process; ``None`` but on Linux."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split(None, 1)[0]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20
