"""The decoder on OpenCV where OpenCV alone would show something else: it turns, or refuses."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.clock_clips import assert_both_give, joined, read, write

from vidsearch.errors import VideoOpenError
from vidsearch.media import open_decoder
from vidsearch.testing.clips import moving_frame
from vidsearch.testing.odd_clips import Track, write_tracks

av = pytest.importorskip("av")
pytest.importorskip("cv2")

TURNS = {
    # Display matrix (a, b, c, d with x' = a·x + c·y, y' = b·x + d·y).
    "right": (0, 1, -1, 0),
    "around": (-1, 0, 0, -1),
    "left": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
    "upside-down": (1, 0, 0, -1),
    "transposed": (0, 1, 1, 0),
    "transversed": (0, -1, -1, 0),
}
PLAYED: dict[str, Any] = {
    "right": lambda picture: np.rot90(picture, -1),
    "around": lambda picture: np.rot90(picture, 2),
    "left": lambda picture: np.rot90(picture, 1),
    "mirrored": lambda picture: picture[:, ::-1],
    "upside-down": lambda picture: picture[::-1],
    "transposed": lambda picture: picture.transpose(1, 0, 2),
    "transversed": lambda picture: np.rot90(picture, 2).transpose(1, 0, 2),
}


def pictures(decoder: str, path: Path, **settings: Any) -> NDArray[np.uint8]:
    (batch,) = open_decoder(decoder).frames(path, rate=10, **settings)
    assert len(batch)
    return batch.data.copy()


def clip(path: Path, **track: Any) -> Path:
    return write_tracks(
        path, Track(frames=2, picture=lambda n: moving_frame(n, width=64, height=48), **track)
    )


@pytest.mark.parametrize("aspect", [None, Fraction(3, 2)])
@pytest.mark.parametrize("turn", TURNS)
def test_turned_and_mirrored_pictures_are_those_of_a_player(
    tmp_path: Path, turn: str, aspect: Fraction | None
) -> None:
    a, b, c, d = (sign << 16 for sign in TURNS[turn])
    path = clip(
        tmp_path / "clip.mp4",
        tags={"sample_aspect_ratio": aspect} if aspect else {},
        prepare=lambda stream: stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30]),
    )
    plain = pictures("opencv", clip(tmp_path / "plain.mp4"))
    for decoder in ("pyav", "opencv"):
        as_stored = pictures(decoder, path, sampling="notebook")
        np.testing.assert_array_equal(as_stored, [PLAYED[turn](each) for each in plain])
    shown = pictures("opencv", path)
    np.testing.assert_array_equal(shown, pictures("pyav", path))
    info = open_decoder("opencv").probe(path)
    assert (info.height, info.width) == shown.shape[1:3]
    assert info == open_decoder("pyav").probe(path)


@pytest.mark.parametrize("how", ["rotate=90", "rotate=180", "flip=horizontal"])
@pytest.mark.parametrize("name", ["clip.ts", "clip.mp4"])
def test_a_turn_that_the_codec_alone_names_is_made(tmp_path: Path, name: str, how: str) -> None:
    plain = clip(tmp_path / f"plain-{name}")
    path = tmp_path / name
    with av.open(str(plain)) as given, av.open(str(path), "w") as made:
        source = given.streams.video[0]
        stream = made.add_stream_from_template(source)
        bits = av.BitStreamFilterContext(
            f"h264_metadata=display_orientation=insert:{how}", source, stream
        )
        for packet in given.demux(source):
            for changed in bits.filter(packet if packet.size else None):
                changed.stream = stream
                made.mux(changed)
    turns = {"rotate=90": "left", "rotate=180": "around", "flip=horizontal": "mirrored"}
    expected = [PLAYED[turns[how]](each) for each in pictures("pyav", plain)]
    for decoder in ("pyav", "opencv"):
        np.testing.assert_array_equal(pictures(decoder, path), expected)
        np.testing.assert_array_equal(pictures(decoder, path, start=0.1), expected[1:])


INTERLACED = {
    "mpeg2video": {"flags": "+ildct+ilme"},
    "libx264": {"flags": "+ildct", "x264-params": "tff=1"},
}


@pytest.mark.parametrize("codec", INTERLACED)
def test_a_video_that_is_interlaced_later_on_is_refused(tmp_path: Path, codec: str) -> None:
    """As broadcasts and DVDs are, whose films are progressive."""
    times = [Fraction(i, 25) for i in range(50)]
    one = write(tmp_path / "1.ts", times, codec=codec, rate=25)
    two = write(
        tmp_path / "2.ts", [t + 600 for t in times], codec=codec, rate=25, first=50,
        **INTERLACED[codec],
    )  # fmt: skip
    assert_both_give(one, ([0, 25], [0, 1], 2.0))
    path = joined(tmp_path / "clip.ts", one, two)
    assert read("pyav", path)[0] == [0, 25, 50, 75]
    with pytest.raises(VideoOpenError, match=r"clip\.ts is interlaced.*, at 2\.0 s; set .* pyav"):
        list(open_decoder("opencv").frames(path))


def test_bgr_that_is_stored_from_the_bottom_up_is_refused(tmp_path: Path) -> None:
    """OpenCV itself writes beyond its memory there, which ends the process."""
    track = Track(codec="rawvideo", pixel_format="bgr24")
    path = write_tracks(tmp_path / "clip.avi", track, options={"flipped_raw_rgb": "1"})
    message = (
        r"clip\.avi has rows that are stored from the bottom up, .*set ingest\.decoder to pyav"
    )
    with pytest.raises(VideoOpenError, match=message):
        pictures("opencv", path)
    with pytest.raises(VideoOpenError, match=message):
        open_decoder("opencv").probe(path)


@pytest.mark.parametrize("pixel_format", ["bgra", "rgb555le", "pal8"])
def test_other_rows_from_the_bottom_up_are_those_of_a_player(
    tmp_path: Path, pixel_format: str
) -> None:
    track = Track(codec="rawvideo", pixel_format=pixel_format)
    path = write_tracks(tmp_path / "clip.avi", track, options={"flipped_raw_rgb": "1"})
    (ours,), (theirs,) = (list(open_decoder(name).frames(path)) for name in ("pyav", "opencv"))
    np.testing.assert_array_equal(ours.data, theirs.data)
