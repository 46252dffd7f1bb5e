"""A media reader whose codecs run in a child process."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vidsearch.errors import DecoderFailedError, DecoderKilledError, VidsearchError
from vidsearch.media.batches import Batches
from vidsearch.media.display import BatchDecoder, FrameRequest
from vidsearch.media.frames import (
    Cue,
    FrameBatch,
    FrameSummary,
    VideoInfo,
)
from vidsearch.media.isolation.environment import COMMAND
from vidsearch.media.isolation.faults import Cause, DecodingProcessError
from vidsearch.media.isolation.process import DecodingProcess
from vidsearch.media.isolation.protocol import (
    FrameHeader,
    Message,
    ProtocolError,
    Setup,
    held_of,
    proper,
    summary_of,
)

__all__ = ["IsolatedReader"]

_log = logging.getLogger(__name__)
_MOST_ITEMS = 200_000
"""Cues or cuts of one video."""

_T = TypeVar("_T")
_Read = Callable[[memoryview], None]


class IsolatedReader(BatchDecoder):
    """Reads files in a child process that is kept from video to video.

    It is started when it is first needed, and again after it had to be killed. Each thread that
    reads at the same time has a process of its own; after a fork, so has each side.

    A codec that hangs, crashes or wants too much memory ends its process, and the video fails with
    :class:`~vidsearch.errors.DecoderFailedError`. Where the process had read another file before,
    the video is read again in a new one first, so that no video is blamed for what its predecessor
    did to the memory.

    The next batch is decoded while the one before is used. Every method raises
    :class:`~vidsearch.errors.DecoderKilledError` where the process was killed from outside.

    Args:
        setup: the decoder and its limits.
        stall_seconds: after which a decoder without progress is given up. Progress is a frame, or
            on Linux that the file is being read.
    """

    def __init__(
        self, setup: Setup, *, stall_seconds: float, _command: Sequence[str] = COMMAND
    ) -> None:
        self._setup = setup
        self._stall_seconds = stall_seconds
        self._command = _command
        self._idle: list[DecodingProcess] = []  # its append and pop are atomic

    def __repr__(self) -> str:
        return f"IsolatedReader({self._setup}, stall_seconds={self._stall_seconds:g})"

    @property
    def name(self) -> str:
        """That of the decoder."""
        return self._setup.decoder

    def probe(self, path: Path) -> VideoInfo:
        """See :class:`~vidsearch.media.frames.Decoder`."""
        return self._ask_one("probe", path, _info, doing="while reading the header")

    def can_seek(self, path: Path) -> bool:
        """See :class:`~vidsearch.media.frames.Decoder`."""
        return self._ask_one("can_seek", path, _can_seek, doing="while reading the packets")

    def cues(self, path: Path, *, languages: Sequence[str] | None = None) -> tuple[Cue, ...]:
        """See :class:`~vidsearch.media.frames.MediaReader`."""
        doing = "while reading subtitles"
        wanted = None if languages is None else list(languages)
        asked = self._ask("cues", path, _cue, doing=doing, most=_MOST_ITEMS, languages=wanted)
        return tuple(asked)

    def shots(self, path: Path) -> tuple[float, ...]:
        """See :class:`~vidsearch.media.frames.MediaReader`."""
        asked = self._ask("shots", path, _shot, doing="while looking for cuts", most=_MOST_ITEMS)
        return tuple(asked)

    def close(self) -> None:
        """End the processes that have nothing to do."""
        while (process := self._take_idle()) is not None:
            process.end()

    def _batches(
        self, path: Path, request: FrameRequest
    ) -> Generator[FrameBatch, None, FrameSummary]:
        batches = Batches(request.batch_size)
        complete: list[FrameBatch] = []

        def receive(header: FrameHeader, read_into: _Read) -> None:
            def draw(slot: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
                if slot is None or slot.shape != header.shape:
                    slot = np.empty(header.shape, dtype=np.uint8)
                read_into(slot.reshape(-1).data)
                return slot

            complete.extend(batches.add(header.pts, draw))

        asked = self._ask(
            "frames",
            path,
            self._frame_or_summary,
            doing="before the first frame",
            # A rate of frames that is no whole number gives more of them than points.
            most=16 + 2 * self._setup.max_seconds * request.rate,
            receive=receive,
            rate=request.rate,
            sampling=request.sampling,
            start=request.start,
            stop=request.stop,
        )
        seen, summary = 0, None
        with closing(asked):
            for item in asked:
                if isinstance(item, FrameSummary):
                    summary = item
                elif isinstance(item, float):
                    if not seen:
                        raise self._failure(_invalid_answer("no picture"), path, "at the start")
                    batches.hold(item)
                else:
                    seen += 1
                yield from complete
                complete.clear()
        if summary is None or (request.is_whole and (not seen or summary.end_seconds is None)):
            raise self._failure(_invalid_answer("no end"), path, "at the end")
        yield from batches.rest()
        return summary

    def _ask_one(self, do: str, path: Path, parse: Callable[[Message], _T], *, doing: str) -> _T:
        found = tuple(self._ask(do, path, parse, doing=doing, most=1))
        if not found:
            raise self._failure(_invalid_answer("nothing"), path, doing)
        return found[0]

    def _frame_or_summary(self, message: Message) -> FrameHeader | FrameSummary | float:
        if "summary" in message:
            return summary_of(message)
        if "held" in message:
            return held_of(message)
        return FrameHeader.of(message, max_pixels=self._setup.max_pixels)

    def _ask(
        self,
        do: str,
        path: Path,
        parse: Callable[[Message], _T],
        *,
        doing: str,
        most: float,
        receive: Callable[[FrameHeader, _Read], None] | None = None,
        **arguments: Any,
    ) -> Generator[_T, None, None]:
        """The parsed answers to a request; left early, its process is killed."""
        given = 0
        request = {"do": do, **arguments}
        while True:
            process = self._check_out()
            try:
                answers = process.ask(request, path, steady=receive is not None)
                for number, message in enumerate(answers):
                    if number >= most:
                        raise ProtocolError("more than a video can have")
                    item = parse(message)
                    again = number < given  # what the process before this one had read already
                    if receive and isinstance(item, FrameHeader):
                        doing = f"at {item.pts:.1f} s"
                        (_pass_over if again else receive)(item, process.read_into)
                    if not again:
                        given += 1
                        yield item
            except VidsearchError:
                self._idle.append(process)
                raise
            except (DecodingProcessError, ProtocolError) as error:
                process.end()
                fault = error if isinstance(error, DecodingProcessError) else _invalid_answer(error)
                if fault.cause is not Cause.FILE_OR_EARLIER or not process.has_read_others:
                    raise self._failure(fault, path, doing) from error
                _log.warning("%s; a new process tries once more", self._failure(fault, path, doing))
            except BaseException:
                process.end()
                raise
            else:
                self._idle.append(process)
                return

    def _check_out(self) -> DecodingProcess:
        while (process := self._take_idle()) is not None:
            if process.is_usable:
                return process
            process.end()
        return DecodingProcess(
            self._setup, stall_seconds=self._stall_seconds, command=self._command
        )

    def _take_idle(self) -> DecodingProcess | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _failure(self, fault: DecodingProcessError, path: Path, doing: str) -> VidsearchError:
        advice = f": {fault.advice}" if fault.advice else ""
        kind = DecoderKilledError if fault.cause is Cause.OUTSIDE else DecoderFailedError
        return kind(f"{path.name}: the decoder ({self.name}) {fault.what} {doing}{advice}")


def _invalid_answer(error: ProtocolError | str) -> DecodingProcessError:
    return DecodingProcessError(f"gave an invalid answer ({error})", cause=Cause.FILE_OR_EARLIER)


def _pass_over(header: FrameHeader, read_into: _Read) -> None:
    read_into(memoryview(bytearray(math.prod(header.shape))))


def _info(message: Message) -> VideoInfo:
    with proper("a header without proper numbers"):
        width, height, duration, fps = message["info"]
        return VideoInfo(
            width=int(width),
            height=int(height),
            duration=None if duration is None else _finite(duration),
            fps=None if fps is None else _finite(fps),
        )


def _can_seek(message: Message) -> bool:
    with proper("no word on seeking"):
        return bool(message["can_seek"])


def _cue(message: Message) -> Cue:
    with proper("a cue without proper times"):
        start, end, text = message["cue"]
        return Cue(_finite(start), _finite(end), str(text))


def _shot(message: Message) -> float:
    with proper("a cut without a proper time"):
        return _finite(message["shot"])


def _finite(number: Any) -> float:
    if not math.isfinite(number):
        raise ValueError(number)
    return float(number)
