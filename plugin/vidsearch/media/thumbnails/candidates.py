"""All sampled frames of a video as small pictures, to choose from once its segments are known."""

from __future__ import annotations

import io
import tempfile
from array import array
from dataclasses import astuple
from types import TracebackType
from typing import Protocol

import numpy as np

from vidsearch.errors import TemporaryFolderError
from vidsearch.media.frames import FrameBatch
from vidsearch.media.segments import SegmentSpan
from vidsearch.media.thumbnails.pictures import (
    Look,
    PictureFormat,
    as_jpeg,
    look_of,
    recoded,
    shrunk,
)

__all__ = ["Candidates"]

_IN_MEMORY = 8 * 2**20
_EDGE_WEIGHT = 0.5


class _Form(Protocol):
    """What a store of thumbnails says of its pictures."""

    size: int
    format: PictureFormat


class Candidates:
    """Takes the frames of one video, batch by batch, and gives the best picture of a stretch.

    The small pictures wait in a temporary file, a few kilobytes each, so that memory stays flat.
    It is gone when the object is closed, or the process ends.
    """

    def __init__(self, *, size: int = 320, format: PictureFormat = "webp") -> None:
        self._size = size
        self._format: PictureFormat = format
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115
        self._ends = array("q", [0])
        self._looks: list[Look] = []
        self._times = array("d")
        self._pictures = array("q")
        """The picture of each frame."""

    @classmethod
    def of(cls, store: _Form) -> Candidates:
        """For pictures of the form that a store keeps."""
        return cls(size=store.size, format=store.format)

    def __len__(self) -> int:
        return len(self._times)

    def add(self, batch: FrameBatch, *, displayed: tuple[int, int] | None = None) -> None:
        """Take the next frames.

        Args:
            batch: of frames.
            displayed: width and height on display, where they are not those of the frames.

        Raises:
            TemporaryFolderError: the temporary file cannot be written (the disk is full).
            MissingExtraError: Pillow is not installed.
        """
        self._times.extend(batch.pts_seconds)
        for pixels, repeats in zip(batch.data, batch.repeats.tolist(), strict=True):
            self._pictures.extend([len(self._looks)] * repeats)
            picture = shrunk(pixels, size=self._size, displayed=displayed)
            data = as_jpeg(picture)
            self._write(data)
            self._ends.append(self._ends[-1] + len(data))
            self._looks.append(look_of(picture))

    def packed(self) -> bytes:
        """All that was added, as a file for :meth:`extend`."""
        self._file.seek(0)
        file = io.BytesIO()
        np.savez(
            file,
            pictures=np.frombuffer(self._file.read(self._ends[-1]), np.uint8),
            ends=np.array(self._ends[1:], np.int64),
            times=np.array(self._times, np.float64),
            numbers=np.array(self._pictures, np.int64),
            looks=np.array([astuple(look) for look in self._looks]).reshape(-1, 3),
        )
        return file.getvalue()

    def extend(self, packed: bytes) -> None:
        """Take the frames of other candidates, which follow those that are there.

        Raises:
            TemporaryFolderError: see :meth:`add`.
            ValueError, KeyError, EOFError, zipfile.BadZipFile: the file is damaged.
        """
        with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
            pictures, ends, times, numbers, looks = (
                arrays[name] for name in ("pictures", "ends", "times", "numbers", "looks")
            )
        self._write(pictures.tobytes())
        self._ends.extend((ends + self._ends[-1]).tolist())
        self._times.extend(times.tolist())
        self._pictures.extend((numbers + len(self._looks)).tolist())
        self._looks.extend(Look(*look) for look in looks.tolist())

    def clear(self) -> None:
        """Forget all frames."""
        del self._ends[1:], self._times[:], self._pictures[:], self._looks[:]

    def best(self, segment: SegmentSpan) -> bytes:
        """The picture that stands for a segment, as a file.

        The sharpest frame, where one at the edge of the segment has to be twice as sharp as one in
        its middle. Frames that are black, white or of one colour are taken only where all are, and
        then the one with the most contrast.

        Args:
            segment: its frames are those of the batches, in order.

        Raises:
            IndexError: it names frames that were not added.
        """
        if not 0 <= segment.first < segment.last <= len(self):
            raise IndexError(f"{segment} names frames beyond the {len(self)} that were added")
        frame = max(range(segment.first, segment.last), key=lambda n: self._score(n, segment))
        number = self._pictures[frame]
        self._file.seek(self._ends[number])
        return recoded(self._file.read(self._ends[number + 1] - self._ends[number]), self._format)

    def _write(self, data: bytes) -> None:
        try:
            self._file.seek(self._ends[-1])
            self._file.write(data)
        except OSError as error:
            raise TemporaryFolderError(
                f"no room for thumbnails in {tempfile.gettempdir()}: {error.strerror}"
            ) from error

    def close(self) -> None:
        """Remove the temporary file."""
        self._file.close()

    def __enter__(self) -> Candidates:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _score(self, frame: int, segment: SegmentSpan) -> tuple[bool, float, float]:
        look = self._looks[self._pictures[frame]]
        half = (segment.end - segment.start) / 2
        off = abs(self._times[frame] - segment.start - half) / half if half else 0.0
        centred = 1.0 - _EDGE_WEIGHT * min(off, 1.0)
        if look.is_blank:
            return False, look.contrast, centred
        return True, look.sharpness * centred, centred
