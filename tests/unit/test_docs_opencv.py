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


def write(path: Path, *sizes: tuple[int, int], **options: Any) -> Path:
    """A clip of coarse noise that moves, one track per size; the last one is the default."""
    codec, pixel_format = options.get("codec", "ffv1"), options.get("pixel_format", "yuv420p")
    fast = {"deadline": "realtime", "cpu-used": "8"} if codec.startswith("libvpx") else {}
    with av.open(str(path), "w") as container:
        streams = [container.add_stream(codec, rate=_RATE, options=fast) for _ in sizes]
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


def decoded(name: str, path: Path, **settings: Any) -> Pictures:
    return [
        frame
        for batch in open_decoder(name).frames(path, **settings)
        for _, frame in batch.frames()
    ]


def same(ones: Pictures, others: Pictures) -> bool:
    return len(ones) == len(others) == 3 and all(map(np.array_equal, ones, others))


@pytest.mark.parametrize("codec", ["ffv1", "libx264", "libvpx-vp9", "mpeg4"])
@pytest.mark.parametrize("size", [(128, 96), (127, 96)])
def test_square_pixels_give_the_bytes_of_opencv(
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


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize(
    ("name", "codec", "size"),
    [
        ("clip.mp4", "libx264", (128, 96)),
        ("clip.mkv", "ffv1", (128, 97)),
        ("clip.mpg", "mpeg2video", (720, 405)),
        ("clip.webm", "libvpx-vp9", (127, 96)),
    ],
)
def test_the_notebook_sampling_ignores_the_pixel_aspect_as_opencv_does(
    tmp_path: Path, name: str, codec: str, size: tuple[int, int], decoder: str
) -> None:
    path = write(tmp_path / name, size, codec=codec, aspect=Fraction(4, 3))
    frames = decoded(decoder, path, sampling="notebook")
    assert frames[0].shape == (size[1], size[0], 3)
    assert same(frames, opencv_alone(path))


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("clip.mkv", "ffv1", "yuv420p"),
        ("clip.mkv", "ffv1", "yuv422p"),
        ("clip.mkv", "ffv1", "yuv420p10le"),
        ("clip.mkv", "ffv1", "yuva420p"),
        ("clip.mkv", "mpeg4", "yuv420p"),
        ("clip.mp4", "libx264", "yuv444p"),
        ("clip.mpg", "mpeg2video", "yuv420p"),
        ("clip.ts", "mpeg2video", "yuv422p"),
        ("clip.webm", "libvpx", "yuv420p"),
        ("clip.webm", "libvpx-vp9", "yuv420p"),
        ("clip.avi", "mjpeg", "yuvj420p"),
        ("clip.avi", "mjpeg", "yuvj422p"),
        ("clip.avi", "huffyuv", "yuv422p"),
        ("clip.flv", "flv", "yuv420p"),
        ("clip.mov", "prores_ks", "yuv422p10le"),
    ],
)
@pytest.mark.parametrize("size", [(128, 97), (720, 405), (146, 361), (131, 97)], ids=str)
def test_an_odd_height_gives_the_bytes_of_opencv(
    tmp_path: Path, name: str, codec: str, pixel_format: str, size: tuple[int, int]
) -> None:
    if codec == "huffyuv" and size[0] % 2:
        pytest.skip("Huffyuv takes 4:2:2 of even widths only")
    path = write(tmp_path / name, size, codec=codec, pixel_format=pixel_format)
    expected = opencv_alone(path)
    assert same(decoded("pyav", path), expected)
    assert same(decoded("opencv", path), expected)


def test_of_two_tracks_the_default_one_is_read_where_opencv_takes_the_first(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "clip.mkv", (192, 128), (128, 96))
    assert opencv_alone(path)[0].shape == (128, 192, 3)
    assert same(decoded("opencv", path), opencv_alone(path))
    assert decoded("pyav", path)[0].shape == (96, 128, 3)
