"""The real decoding process with a decoder that misbehaves where a file's name tells it to.

``segfault@2.mp4`` crashes instead of yielding its third frame; other files are read as ever. Run as
a script: tests hand it to ``IsolatedReader`` as the command of the child.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np

import vidsearch.media.direct_reader
from vidsearch.errors import VidsearchError
from vidsearch.media.decoders import open_decoder
from vidsearch.media.frames import Decoder, FrameBatch, FrameStream, FrameSummary, VideoInfo
from vidsearch.media.isolation.child import main

COMMAND = (sys.executable, str(Path(__file__).resolve()))


class Misbehaving:
    """A decoder with accidents."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self.name = decoder.name

    def probe(self, path: Path) -> VideoInfo:
        if path.name.startswith("probe-"):
            _misbehave(path.name.partition("-")[2].partition(".")[0], path)
        return self._decoder.probe(path)

    def can_seek(self, path: Path) -> bool:
        return self._decoder.can_seek(path)

    def frames(self, path: Path, **options: Any) -> FrameStream:
        return FrameStream(self._batches(path, **options))

    def _batches(self, path: Path, **options: Any) -> Generator[FrameBatch, None, FrameSummary]:
        what, _, number = path.stem.partition("@")
        frames = self._decoder.frames(path, **options)
        for count, batch in enumerate(frames):
            if number and count == int(number):
                batch = _misbehave(what, path) or batch
            yield batch
        return frames.summary


def _misbehave(what: str, path: Path) -> FrameBatch | None:
    match what:
        case "sleep":
            path.with_suffix(".stuck").touch()
            time.sleep(3600)
        case "hang":  # with the interpreter's lock held: no other thread runs either
            path.with_suffix(".stuck").touch()
            ctypes.PyDLL(None).sleep(3600)
        case "segfault":
            ctypes.string_at(0)
        case "once":
            mark = path.parent / "crash-once"
            if mark.exists():
                mark.unlink()
                ctypes.string_at(0)
        case "abort":
            os.abort()
        case "bad_alloc":
            os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
            os.abort()
        case "greedy":
            held = []
            while True:
                held.append(bytearray(1 << 24))
        case "leak":
            _leaked.append(bytearray(_LEAK))
        case "exit":
            os._exit(3)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "interrupted":
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a job in the background ignores it
            os.kill(os.getpid(), signal.SIGINT)
        case "chatty":
            sys.stdout.write("rubbish\n")
            os.write(1, b"\0\0\0\1rubbish\n" * 100_000)
        case "rubbish":
            for pipe in range(3, 20):
                try:
                    os.write(pipe, b"\xff" * 100)
                except OSError:
                    continue
        case "pickle":
            for pipe in range(3, 20):
                try:
                    os.write(pipe, b"\0\0\0\x2ecos\nsystem\n(S'touch owned'\ntR.".ljust(50))
                except OSError:
                    continue
        case "enormous":
            return FrameBatch(np.zeros((1, 3000, 3000, 3), np.uint8), np.zeros(1))
        case "nan":
            return FrameBatch(np.zeros((1, 4, 4, 3), np.uint8), np.full(1, np.nan))
        case "bug":
            raise TypeError("a mistake of ours")
        case "other-error":
            raise VidsearchError("none of those that may cross")
        case "reading":
            for _ in range(12):
                path.read_bytes()
                time.sleep(0.25)
        case "circle":
            while True:
                path.read_bytes()
        case "connect":
            import socket

            port = int(path.with_suffix(".port").read_text())
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
        case _:
            raise AssertionError(what)
    return None


_LEAK = 300 << 20
_leaked: list[bytearray] = []


def _misbehaving(*arguments: Any, **options: Any) -> Misbehaving:
    return Misbehaving(open_decoder(*arguments, **options))


if __name__ == "__main__":
    vidsearch.media.direct_reader.open_decoder = _misbehaving
    main()
