"""The decoding process: ``python -m vidsearch.media.isolation.child``, started by the worker.

Its argument is the file descriptor of its lifeline, see
:func:`~vidsearch.media.isolation.confinement.end_with_parent`.
It reads requests from its standard input, answers on what was its standard output, and ends with
its input. What libraries print goes to standard error, which the worker keeps the end of.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidsearch.media.ffmpeg_messages import allow_listening
from vidsearch.media.isolation.confinement import (
    end_with_parent,
    leave_network,
    limit_resources,
)
from vidsearch.media.isolation.logs import LOGGER, send_logs
from vidsearch.media.isolation.protocol import (
    LENGTH,
    FrameHeader,
    Message,
    Setup,
    error_message,
    pack,
    summary_message,
    unpack,
)

if TYPE_CHECKING:
    from vidsearch.media.frames import MediaReader

__all__ = ["main"]

_STDOUT, _STDERR = 1, 2
_CODECS = {"pyav": "av", "opencv": "cv2"}

_Answer = tuple[Message, "memoryview | None"]


def main() -> None:
    """Serve requests until the standard input ends."""
    leave_network()
    end_with_parent(int(sys.argv[1]))
    answers = os.dup(_STDOUT)
    os.dup2(_STDERR, _STDOUT)
    allow_listening()
    setup = _read_message()
    if setup is None:
        return
    with suppress(BrokenPipeError):
        try:
            reader = _reader(Setup(**setup))
        except Exception as error:
            _write(answers, error_message(error))
            return
        send_logs(lambda message: _write(answers, message))
        _write(answers, {"ready": True})
        while (request := _read_message()) is not None:
            _write(answers, _serve(request, reader, answers))


def _reader(setup: Setup) -> MediaReader:
    from vidsearch.media.direct_reader import DirectReader
    from vidsearch.media.frames import MediaLimits

    reader = DirectReader(
        setup.decoder,
        limits=MediaLimits(max_seconds=setup.max_seconds, max_pixels=setup.max_pixels),
        max_damaged=setup.max_damaged,
        threads=setup.threads,
    )
    # Before the first video, which must not be blamed for a library that does not load. One that
    # is not installed is reported when it is needed.
    with suppress(ImportError):
        importlib.import_module(_CODECS[setup.decoder])
    limit_resources(megabytes=setup.megabytes)
    return reader


def _serve(request: Message, reader: MediaReader, answers: int) -> Message:
    """Answer one request, but for its last message."""
    logging.getLogger(LOGGER).setLevel(request.pop("level"))
    try:
        for message, pixels in _REQUESTS[request.pop("do")](
            reader, Path(request.pop("path")), **request
        ):
            _write(answers, message, pixels)
    except BrokenPipeError:
        raise
    except Exception as error:
        return error_message(error)
    return {"done": True}


def _probe(reader: MediaReader, path: Path) -> Iterator[_Answer]:
    info = reader.probe(path)
    yield {"info": [info.width, info.height, info.duration, info.fps]}, None


def _can_seek(reader: MediaReader, path: Path) -> Iterator[_Answer]:
    yield {"can_seek": reader.can_seek(path)}, None


def _frames(reader: MediaReader, path: Path, **sampled: Any) -> Iterator[_Answer]:
    # One picture at a time: the worker sees each as progress, and puts the batches together.
    with reader.frames(path, batch_size=1, **sampled) as frames:
        for batch in frames:
            height, width = batch.data.shape[1:3]
            first, *others = batch.pts_seconds.tolist()
            yield FrameHeader(height, width, first).to_message(), batch.data.reshape(-1).data
            for seconds in others:
                yield {"held": seconds}, None
    yield summary_message(frames.summary), None


def _cues(reader: MediaReader, path: Path, **chosen: Any) -> Iterator[_Answer]:
    for cue in reader.cues(path, **chosen):
        yield {"cue": [cue.start, cue.end, cue.text]}, None


def _shots(reader: MediaReader, path: Path) -> Iterator[_Answer]:
    for second in reader.shots(path):
        yield {"shot": second}, None


_REQUESTS: dict[str, Callable[..., Iterator[_Answer]]] = {
    "probe": _probe,
    "can_seek": _can_seek,
    "frames": _frames,
    "cues": _cues,
    "shots": _shots,
}


def _read_message() -> Message | None:
    length = sys.stdin.buffer.read(LENGTH.size)
    if len(length) < LENGTH.size:
        return None
    return unpack(sys.stdin.buffer.read(*LENGTH.unpack(length)))


def _write(pipe: int, message: Message, pixels: memoryview | None = None) -> None:
    for part in (memoryview(pack(message)), pixels or b""):
        left = memoryview(part)
        while left:
            left = left[os.write(pipe, left) :]


if __name__ == "__main__":
    main()
