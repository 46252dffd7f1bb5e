"""Frames become RGB as displayed: colours as OpenCV's to the byte, geometry as a player's."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vidsearch.media.pyav.container import opened
from vidsearch.media.pyav.picture import Pictures, displayed_size, square_pixels
from vidsearch.testing.odd_clips import Track, write_tracks

av = pytest.importorskip("av")
cv2 = pytest.importorskip("cv2")

_WIDE = tuple(int(part) for part in av.__version__.split(".")[:1]) >= (18,)
"""Older PyAV knows no BT.2020 and no transfer characteristics."""
_FAITHFUL = tuple(int(part) for part in cv2.__version__.split(".")[:1]) >= (5,)
"""OpenCV 4 takes every stream as BT.601, and knows no HDR."""

_COLOURS = np.array(
    [
        (0, 0, 0), (64, 64, 64), (128, 128, 128), (255, 255, 255),
        (220, 40, 40), (40, 200, 40), (40, 40, 220), (200, 200, 40),
    ],
    dtype=np.uint8,
)  # fmt: skip


def _patches(number: int = 0, *, width: int = 128, height: int = 96) -> NDArray[np.uint8]:
    """Eight colours from left to right; the lower half is a gradient with noise."""
    picture = np.repeat(_COLOURS, -(-width // 8), axis=0)[None, :width].repeat(height, axis=0)
    noise = np.random.default_rng(number).integers(0, 256, (height - height // 2, width, 3))
    picture[height // 2 :] = noise
    return picture


def _upper_patches(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    middles = (np.arange(8) * 2 + 1) * picture.shape[1] // 16
    return np.array([picture[8:24, x - 2 : x + 2].mean((0, 1)) for x in middles])


def _clip(
    path: Path, *, tags: Mapping[str, Any] | None = None, size: tuple[int, int] = (128, 96),
    **track: Any,
) -> Path:  # fmt: skip
    width, height = size
    track.setdefault("codec", "ffv1")
    track.setdefault("picture", lambda number: _patches(number, width=width, height=height))
    return write_tracks(path, Track(frames=2, tags=tags or {}, **track))


def _pictures(path: Path) -> list[NDArray[np.uint8]]:
    with opened(path) as video:
        pictures = video.pictures()
        return [pictures.to_rgb(frame) for frame in video.container.decode(video.stream)]


def _opencv(path: Path) -> list[NDArray[np.uint8]]:
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    pictures = []
    while (answer := capture.read())[0]:
        pictures.append(cv2.cvtColor(answer[1], cv2.COLOR_BGR2RGB))
    capture.release()
    return pictures


def _same(ours: list[NDArray[np.uint8]], theirs: list[NDArray[np.uint8]]) -> None:
    assert len(ours) == len(theirs) == 2
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("colour_range", [None, 1, 2], ids=["no-range", "limited", "full"])
@pytest.mark.parametrize(
    "matrix",
    [None, 1, 5, 6, 7, 9],
    ids=["no-matrix", "BT.709", "BT.470BG", "BT.601", "240M", "BT.2020"],
)
def test_colour_matrix_and_range_of_the_stream_are_used(
    tmp_path: Path, matrix: int | None, colour_range: int | None
) -> None:
    if matrix == 9 and not _WIDE:
        pytest.skip("this PyAV knows no BT.2020")
    tags = {"colorspace": matrix, "color_range": colour_range}
    given = {name: value for name, value in tags.items() if value is not None}
    path = _clip(tmp_path / "clip.mkv", tags=given)
    pictures = _pictures(path)
    np.testing.assert_allclose(_upper_patches(pictures[0]), _COLOURS, atol=3.1)
    if _FAITHFUL:
        _same(pictures, _opencv(path))


def test_a_large_picture_without_tags_counts_as_bt_601(tmp_path: Path) -> None:
    """As in ffmpeg and OpenCV; some players would guess BT.709 from the size."""
    path = _clip(tmp_path / "clip.mkv", size=(1280, 720), codec="libx264", options={"qp": "0"})
    pictures = _pictures(path)
    np.testing.assert_allclose(_upper_patches(pictures[0]), _COLOURS, atol=3.1)
    _same(pictures, _opencv(path))


_FORMATS = [
    "yuv420p", "yuv422p", "yuv444p", "yuv410p", "yuv411p", "yuv440p", "yuyv422", "uyvy422",
    "nv12", "nv21", "gray", "gray10le", "gray16le", "ya8", "yuv420p10le", "yuv422p10le",
    "yuv444p10le", "yuv420p12le", "yuv420p16le", "p010le", "yuva420p", "yuva422p", "yuva444p",
    "gbrp", "gbrp10le", "rgb24", "bgr24", "rgba", "bgra", "argb", "rgb0", "rgb48le", "rgb565le",
    "rgb8", "monow", "xyz12le",
]  # fmt: skip


@pytest.mark.parametrize("size", [(128, 96), (131, 97), (146, 98)], ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("pixel_format", _FORMATS)
def test_every_pixel_format_is_converted_as_opencv_does(
    tmp_path: Path, pixel_format: str, size: tuple[int, int]
) -> None:
    path = _clip(tmp_path / "clip.nut", size=size, codec="rawvideo", pixel_format=pixel_format)
    pictures = _pictures(path)
    assert pictures[0].shape == (size[1], size[0], 3)
    if _FAITHFUL:
        _same(pictures, _opencv(path))


@pytest.mark.parametrize("pixel_format", ["bgr24", "bgra", "rgb555le", "pal8"])
def test_rows_that_are_stored_from_the_bottom_up_are_shown_upright(
    tmp_path: Path, pixel_format: str
) -> None:
    """As Windows does. FFmpeg only says so of the rows, and leaves them in their order."""
    stored = {"codec": "rawvideo", "pixel_format": pixel_format}
    tracks = {
        name: Track(frames=2, picture=lambda _: _patches()[:, :, :1].repeat(3, axis=2), **stored)
        for name in ("upright", "bottom-up")
    }
    upright = _pictures(write_tracks(tmp_path / "upright.avi", tracks["upright"]))
    path = tmp_path / "bottom-up.avi"
    write_tracks(path, tracks["bottom-up"], options={"flipped_raw_rgb": "1"})
    _same(_pictures(path), [picture[::-1] for picture in upright])
    with opened(path) as video:
        frame = next(video.container.decode(video.stream))
        small = video.pictures().small_bgr(frame, width=frame.width, height=frame.height)
    np.testing.assert_array_equal(small[::-1, :, ::-1], upright[0])


@pytest.mark.parametrize(
    ("codec", "pixel_format", "name"),
    [
        ("libx264", "yuv420p10le", "clip.mp4"),
        ("libx265", "yuv420p10le", "clip.mp4"),
        ("libx264", "yuv422p10le", "clip.mkv"),
        ("prores_ks", "yuv422p10le", "clip.mov"),
        ("ffv1", "yuv444p12le", "clip.mkv"),
        ("libsvtav1", "yuv420p10le", "clip.mp4"),
    ],
)
def test_ten_bit_video_becomes_eight_bit(
    tmp_path: Path, codec: str, pixel_format: str, name: str
) -> None:
    path = _clip(
        tmp_path / name, codec=codec, pixel_format=pixel_format, tags={"colorspace": 1},
        picture=lambda _: _patches()[:48],
    )  # fmt: skip
    pictures = _pictures(path)
    np.testing.assert_allclose(_upper_patches(pictures[0]), _COLOURS, atol=6)
    theirs = _opencv(path)
    if _FAITHFUL and codec != "libsvtav1":  # OpenCV has no software decoder of AV1
        _same(pictures, theirs)


@pytest.mark.parametrize(
    ("codec", "pixel_format", "name"),
    [
        ("png", "rgba", "clip.mov"),
        ("qtrle", "argb", "clip.mov"),
        ("ffv1", "bgra", "clip.mkv"),
        ("ffv1", "yuva420p", "clip.mkv"),
        ("prores_ks", "yuva444p10le", "clip.mov"),
        ("libvpx-vp9", "yuva420p", "clip.webm"),
    ],
)
def test_transparency_is_dropped_and_the_colours_below_it_shown(
    tmp_path: Path, codec: str, pixel_format: str, name: str
) -> None:
    colour = np.array((200, 60, 30), dtype=np.uint8)

    def picture(_: int) -> NDArray[np.uint8]:
        opaque = np.full((96, 128, 1), 255, dtype=np.uint8)
        opaque[:, 64:] = 30  # the right half is nearly transparent
        return np.concatenate([np.broadcast_to(colour, (96, 128, 3)), opaque], axis=2)

    path = _clip(tmp_path / name, codec=codec, pixel_format=pixel_format, picture=picture)
    pictures = _pictures(path)
    np.testing.assert_allclose(pictures[0].reshape(-1, 3).mean(0), colour, atol=4)
    np.testing.assert_allclose(pictures[0][:, :60].mean(), pictures[0][:, 68:].mean(), atol=2)
    _same(pictures, _opencv(path))


@pytest.mark.skipif(not (_FAITHFUL and _WIDE), reason="older PyAV and OpenCV convert no HDR")
@pytest.mark.parametrize(
    "tags",
    [
        pytest.param({"color_trc": 16, "color_primaries": 9, "colorspace": 9}, id="PQ"),
        pytest.param({"color_trc": 13, "color_primaries": 12, "colorspace": 1}, id="P3"),
    ],
)
def test_hdr_and_wide_gamuts_become_sdr_as_opencv_does(
    tmp_path: Path, tags: dict[str, int]
) -> None:
    path = _clip(
        tmp_path / "clip.mp4", codec="libx264", pixel_format="yuv420p10le", tags=tags,
        size=(64, 48), picture=lambda _: _patches(width=64, height=48)[:24],
    )  # fmt: skip
    pictures = _pictures(path)
    _same(pictures, _opencv(path))
    greys = _upper_patches(pictures[0])[:4]
    assert np.ptp(greys, axis=1).max() < 3  # neutral stays neutral
    assert greys[0].max() < 3
    assert greys[3].min() > 250
    red, green, blue = _upper_patches(pictures[0])[4:7]
    assert (np.argmax(red), np.argmax(green), np.argmax(blue)) == (0, 1, 2)


@pytest.mark.parametrize(
    "tags",
    [
        *({"colorspace": matrix} for matrix in (8, 10, 12, 13, 14)),
        *({"color_trc": trc, "color_primaries": 9} for trc in (9, 10)),
    ],
    ids=str,
)
def test_unsupported_colours_are_read_as_the_nearest_supported(
    tmp_path: Path, tags: dict[str, int]
) -> None:
    """YCgCo, constant luminance and their like: rare, and bright and dark stay right."""
    if "color_trc" in tags and not _WIDE:
        pytest.skip("this PyAV knows no transfer characteristics")

    def label(stream: Any) -> None:
        # The pixels are those of BT.601 and only their label is odd, as PyAV cannot write others.
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)

    path = _clip(tmp_path / "odd.mp4", codec="libx264", size=(128, 96), prepare=label)
    np.testing.assert_allclose(_upper_patches(_pictures(path)[0])[:4], _COLOURS[:4], atol=12)


_PLAYED = {
    # Display matrix (a, b, c, d with x' = a·x + c·y, y' = b·x + d·y): what a player shows.
    "none": ((1, 0, 0, 1), lambda p: p),
    "right": ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),
    "around": ((-1, 0, 0, -1), lambda p: np.rot90(p, 2)),
    "left": ((0, -1, 1, 0), lambda p: np.rot90(p, 1)),
    "mirrored": ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
    "upside-down": ((1, 0, 0, -1), lambda p: p[::-1]),
    "transposed": ((0, 1, 1, 0), lambda p: p.transpose(1, 0, 2)),
    "transversed": ((0, -1, -1, 0), lambda p: np.rot90(p, 2).transpose(1, 0, 2)),
}


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
@pytest.mark.parametrize("turn", _PLAYED)
def test_the_display_matrix_turns_and_mirrors(tmp_path: Path, turn: str, name: str) -> None:
    signs, played = _PLAYED[turn]
    if (
        name.endswith("mkv")
        and signs[0] * signs[3] - signs[1] * signs[2] < 0
        and turn != "mirrored"
    ):
        pytest.skip("Matroska's projection holds turns and one mirroring only")
    path = _clip(tmp_path / name, codec="libx264", prepare=_matrix(*signs), size=(128, 64))
    plain = _clip(tmp_path / f"plain-{name}", codec="libx264", size=(128, 64))
    for shown, coded in zip(_pictures(path), _pictures(plain), strict=True):
        np.testing.assert_array_equal(shown, played(coded))
        assert shown.flags.c_contiguous
    with opened(path) as video:
        assert (video.info().height, video.info().width) == _pictures(path)[0].shape[:2]


def test_rotation_by_an_odd_angle_is_ignored(tmp_path: Path) -> None:
    slanted = _clip(
        tmp_path / "clip.mp4", codec="libx264", prepare=lambda s: s.set_display_rotation(30)
    )
    plain = _clip(tmp_path / "plain.mp4", codec="libx264")
    for one, other in zip(_pictures(slanted), _pictures(plain), strict=True):
        np.testing.assert_array_equal(one, other)


def test_invalid_display_matrix_is_ignored(tmp_path: Path) -> None:
    for number, cells in enumerate(((0, 0, 0, 0), (1, 0, 0, 0), (0, 0, 1, 0))):
        path = _clip(tmp_path / f"{number}.mp4", codec="libx264", prepare=_matrix(*cells))
        assert _pictures(path)[0].shape == (96, 128, 3)


def _matrix(a: int, b: int, c: int, d: int) -> Any:
    one = 1 << 16
    cells = [a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30]
    return lambda stream: stream.set_display_matrix(cells)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts", "clip.mov"])
@pytest.mark.parametrize(
    ("aspect", "width"),
    [("16/11", 186), ("10/11", 116), ("4/3", 171), ("1/2", 64), ("401/400", 128), ("1", 128)],
)
def test_non_square_pixels_are_scaled_to_square(
    tmp_path: Path, name: str, aspect: str, width: int
) -> None:
    path = _clip(tmp_path / name, codec="libx264", tags={"sample_aspect_ratio": Fraction(aspect)})
    pictures = _pictures(path)
    assert pictures[0].shape == (96, width, 3)
    np.testing.assert_allclose(_upper_patches(pictures[0]), _COLOURS, atol=12)
    with opened(path) as video:
        assert (video.info().width, video.info().height) == (width, 96)
    # The OpenCV decoder gets there from its own pixels.
    for ours, theirs in zip(pictures, _opencv(path), strict=True):
        np.testing.assert_array_equal(ours, square_pixels(theirs, pixel_aspect=Fraction(aspect)))


def test_a_turned_picture_is_stretched_where_its_pixels_are_long(tmp_path: Path) -> None:
    path = _clip(
        tmp_path / "clip.mp4", codec="libx264", tags={"sample_aspect_ratio": Fraction(2)},
        prepare=_matrix(0, 1, -1, 0),
    )  # fmt: skip
    # Coded 128x96, so 256x96 on display before the turn, 96x256 after it; scaled by its width.
    assert _pictures(path)[0].shape == (128, 48, 3)
    with opened(path) as video:
        assert (video.info().width, video.info().height) == (48, 128)


@pytest.mark.parametrize("aspect", [None, 0, Fraction(6), Fraction(1, 6), Fraction(10**6)])
def test_invalid_pixel_aspects_are_ignored(aspect: Fraction | None) -> None:
    picture = _patches()
    assert square_pixels(picture, pixel_aspect=aspect) is picture
    assert displayed_size(128, 96, pixel_aspect=aspect) == (128, 96)


def test_a_thin_picture_keeps_one_column() -> None:
    assert displayed_size(1, 96, pixel_aspect=Fraction(1, 4)) == (1, 96)


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("mpeg2video", {"flags": "+ildct+ilme", "b": "8000k"}),
        ("libx264", {"flags": "+ildct", "x264-params": "tff=1", "qp": "1"}),
    ],
    ids=["mpeg2", "h264"],
)
def test_interlaced_frame_keeps_both_fields(
    tmp_path: Path, codec: str, options: dict[str, str]
) -> None:
    """No deinterlacing: the picture is what was coded, comb and all."""
    striped = np.zeros((96, 128, 3), dtype=np.uint8)
    striped[::2] = 200
    path = _clip(tmp_path / "clip.mkv", codec=codec, picture=lambda _: striped, options=options)
    with opened(path) as video:
        frame = video.first_frame()
    assert frame is not None
    assert frame.interlaced_frame
    (picture, _) = _pictures(path)
    np.testing.assert_allclose(picture[::2], 200, atol=6)
    np.testing.assert_allclose(picture[1::2], 0, atol=6)


def test_a_given_buffer_is_written(tmp_path: Path) -> None:
    path = _clip(tmp_path / "clip.mkv")
    expected = _pictures(path)
    batch = np.zeros((2, 96, 128, 3), dtype=np.uint8)
    with opened(path) as video:
        pictures = video.pictures()
        for slot, frame in zip(batch, video.container.decode(video.stream), strict=True):
            assert pictures.to_rgb(frame, slot) is slot
    np.testing.assert_array_equal(batch, expected)


def test_buffer_of_another_size_is_not_written(tmp_path: Path) -> None:
    path = _clip(tmp_path / "clip.mkv")
    other = np.zeros((48, 64, 3), dtype=np.uint8)
    with opened(path) as video:
        frame = next(video.container.decode(video.stream))
        assert Pictures().to_rgb(frame, other).shape == (96, 128, 3)
    assert not other.any()


@pytest.mark.parametrize(
    ("codec", "pixel_format", "name"),
    [("rawvideo", "rgb24", "clip.nut"), ("ffv1", "yuv420p", "clip.mkv"), ("gif", "rgb8", "c.gif")],
)
def test_a_picture_outlives_its_frame_and_its_file(
    tmp_path: Path, codec: str, pixel_format: str, name: str
) -> None:
    track = Track(codec=codec, pixel_format=pixel_format, frames=8, picture=_patches)
    path = write_tracks(tmp_path / name, track)
    kept = _pictures(path)
    with opened(path) as video:
        pictures = video.pictures()
        for frame, before in zip(video.container.decode(video.stream), kept, strict=True):
            np.testing.assert_array_equal(pictures.to_rgb(frame), before)


def test_one_converter_takes_frames_of_several_kinds(tmp_path: Path) -> None:
    paths = [
        _clip(tmp_path / "a.mkv", size=(128, 96)),
        _clip(tmp_path / "b.mkv", size=(64, 48), pixel_format="yuv444p10le"),
        _clip(tmp_path / "c.mkv", size=(130, 98), pixel_format="bgra", tags={"color_range": 2}),
    ]
    shared = Pictures()
    for path in [*paths, *reversed(paths)]:
        with opened(path) as video:
            again = [shared.to_rgb(frame) for frame in video.container.decode(video.stream)]
        for one, other in zip(again, _pictures(path), strict=True):
            np.testing.assert_array_equal(one, other)
