"""The table "Compared with OpenCV" in docs/media.md: what a plain loop over all frames gives."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vidsearch.media import open_decoder

av = pytest.importorskip("av")
cv2 = pytest.importorskip("cv2")

Pictures = list[NDArray[np.uint8]]
_RATE, _FRAMES = 10, 30
_LEVELS_APART = 4  # docs/media.md says so


def write(path: Path, *sizes: tuple[int, int], **options: Any) -> Path:
    """A clip of coarse noise that moves, one track per size; the last one is the default."""
    codec, pixel_format = options.get("codec", "ffv1"), options.get("pixel_format", "yuv420p")
    with av.open(str(path), "w") as container:
        streams = [container.add_stream(codec, rate=_RATE) for _ in sizes]
        for stream, (width, height) in zip(streams, sizes, strict=True):
            stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
            if aspect := options.get("aspect"):
                stream.codec_context.sample_aspect_ratio = aspect
            if len(sizes) > 1:
                stream.disposition = 1 if stream is streams[-1] else 0
        noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
        large = np.kron(noise, np.ones((8, 8, 1), dtype=np.uint8))
        for number in range(_FRAMES):
            for stream, (width, height) in zip(streams, sizes, strict=True):
                picture = np.ascontiguousarray(np.roll(large, 3 * number, 1)[:height, :width])
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        for stream in streams:
            container.mux(stream.encode())
    return path


def opencv_alone(path: Path) -> Pictures:
    """The frame at each whole second, of a loop that knows nothing of vidsearch."""
    capture, frames = cv2.VideoCapture(str(path)), []
    while True:
        read, frame = capture.read()
        if not read:
            return frames[::_RATE]
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))


def decoded(name: str, path: Path) -> Pictures:
    return [frame for batch in open_decoder(name).frames(path) for frame in batch.data]


def same(ones: Pictures, others: Pictures) -> bool:
    return len(ones) == len(others) == 3 and all(map(np.array_equal, ones, others))


@pytest.mark.parametrize("codec", ["ffv1", "libx264", "libvpx-vp9", "mpeg4"])
@pytest.mark.parametrize("size", [(128, 96), (127, 96)])
def test_square_pixels_and_even_height_give_the_bytes_of_opencv(
    tmp_path: Path, codec: str, size: tuple[int, int]
) -> None:
    if codec == "libx264" and size[0] % 2:
        pytest.skip("x264 writes 4:2:0 of even sizes only")
    path = write(tmp_path / "clip.mkv", size, codec=codec)
    assert same(decoded("pyav", path), opencv_alone(path))


def test_pixels_that_are_not_square_are_scaled_where_opencv_ignores_them(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4", (128, 96), codec="libx264", aspect=Fraction(16, 11))
    assert opencv_alone(path)[0].shape == (96, 128, 3)
    frames = decoded("pyav", path)
    assert frames[0].shape == (96, 186, 3)
    assert same(frames, decoded("opencv", path))


@pytest.mark.parametrize("height", [97, 361])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p"])
def test_an_odd_height_differs_from_opencv_by_a_few_levels(
    tmp_path: Path, pixel_format: str, height: int
) -> None:
    path = write(tmp_path / "clip.mkv", (128, height), pixel_format=pixel_format)
    frames, others = decoded("pyav", path), opencv_alone(path)
    assert same(decoded("opencv", path), others)
    apart = np.abs(np.stack(frames).astype(int) - np.stack(others)).max()
    assert apart <= _LEVELS_APART


def test_of_two_tracks_the_default_one_is_read_where_opencv_takes_the_first(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "clip.mkv", (192, 128), (128, 96))
    assert opencv_alone(path)[0].shape == (128, 192, 3)
    assert same(decoded("opencv", path), opencv_alone(path))
    assert decoded("pyav", path)[0].shape == (96, 128, 3)


def test_the_docs_name_the_levels_that_are_tested() -> None:
    text = Path(__file__).parents[2].joinpath("docs/media.md").read_text(encoding="utf-8")
    assert f"up to {_LEVELS_APART} of 255 levels apart" in text
