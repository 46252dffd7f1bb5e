"""The ways to sampled frames that are measured; each gives RGB frames ``(h, w, 3)`` in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsearch.media import Decoder

__all__ = [
    "Frames",
    "decoded",
    "digest_of",
    "grab_skip",
    "shown_frames",
    "torchcodec_exact",
    "why_no_torchcodec",
]

Frames = Sequence[NDArray[np.uint8]]


def decoded(decoder: Decoder, path: Path, **arguments: object) -> Frames:
    """What a decoder of ours yields, its batches taken apart."""
    batches = decoder.frames(path, **arguments)  # type: ignore[arg-type]
    return [frame for batch in batches for _, frame in batch.frames()]


def grab_skip(path: Path, wanted: Sequence[int], *, threads: int | None = None) -> Frames:
    """OpenCV read front to back; only what is wanted is converted.

    Args:
        path: of the file.
        wanted: numbers of the frames, ascending; may repeat.
        threads: decoding threads; OpenCV's default where absent.
    """
    import cv2

    options = [] if threads is None else [cv2.CAP_PROP_N_THREADS, threads]
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, options)
    frames: list[NDArray[np.uint8]] = []
    number = -1
    for target in wanted:
        if target == number:
            frames.append(frames[-1])
            continue
        while number < target and video.grab():
            number += 1
        found, frame = video.retrieve()
        if number < target or not found:
            break
        frames.append(np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), dtype=np.uint8))
    video.release()
    return frames


def shown_frames(path: Path, *, count: int) -> list[int]:
    """Number of the frame on display at 0, 1, … ``count - 1`` seconds, from the packets' stamps.

    Not part of what is measured: it spares the ways that cannot look ahead.
    """
    import av

    with av.open(str(path)) as container:
        video = container.streams.video[0]
        base = video.time_base
        stamps = sorted(p.pts for p in container.demux(video) if p.pts is not None)
    assert base is not None
    times = np.array([float((stamp - stamps[0]) * base) for stamp in stamps])
    points = np.arange(count) + 1e-6
    return [int(number) for number in np.searchsorted(times, points, side="right") - 1]


def torchcodec_exact(path: Path, wanted: Sequence[int]) -> Frames:
    """torchcodec's exact mode on one thread; ``wanted`` are numbers of frames."""
    decoder = import_module("torchcodec.decoders").VideoDecoder(
        str(path), seek_mode="exact", num_ffmpeg_threads=1, dimension_order="NHWC"
    )
    return list(decoder.get_frames_at(list(wanted)).data.numpy())


def why_no_torchcodec() -> str | None:
    """Why it cannot be measured here, or ``None``."""
    try:
        import_module("torchcodec.decoders")
    except ImportError:
        return "not installed (`python -m benchmarks --torchcodec` brings it for the run)"
    except (RuntimeError, OSError) as error:
        return f"it does not load: {str(error).strip().splitlines()[0]}"
    return None


def digest_of(way: Callable[[], Frames]) -> str:
    """Equal for two ways whose frames are byte-identical."""
    from hashlib import blake2b

    digest = blake2b(digest_size=16)
    for frame in way():
        digest.update(repr(frame.shape).encode())
        digest.update(np.ascontiguousarray(frame).data)
    return digest.hexdigest()
