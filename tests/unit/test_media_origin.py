"""Times are those of a player: from the earliest start of a picture or sound of the file."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.broadcast_clips import multiplexed
from tests.clock_clips import TENTHS, assert_both_give, joined, read, remuxed, write
from tests.programs import ffmpeg

from vidsearch.embeddings import FrameEmbedder, SegmentPolicy, assemble
from vidsearch.encoders.soundness import require_sound
from vidsearch.ingest.slices import Slice
from vidsearch.media import Cue, open_decoder
from vidsearch.media.direct_reader import DirectReader
from vidsearch.media.frames import DEFAULT_LIMITS, MediaReader
from vidsearch.media.subtitles import embedded_cues
from vidsearch.testing.clips import counter_frame, moving_frame, write_clip
from vidsearch.testing.fake_encoder import FakeEncoder

av = pytest.importorskip("av")
pytest.importorskip("cv2")

DECODERS = ["pyav", "opencv"]


@pytest.fixture
def reader() -> MediaReader:
    return DirectReader("pyav", limits=DEFAULT_LIMITS)


class CountingEncoder(FakeEncoder):
    """Counts the pictures of each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []
        require_sound(self)  # once per encoder
        self.batches.clear()

    def encode_frames(self, frames: Any) -> Any:
        self.batches.append(len(frames))
        return super().encode_frames(frames)


def by_ffmpeg(path: Path) -> tuple[float, float]:
    """When the first picture comes, and when the last one does, by the file's own time stamps."""
    with av.open(str(path)) as container:
        start = container.start_time / av.time_base
        packets = container.demux(container.streams.video[0])
        stamps = [float(p.pts * p.time_base) for p in packets if p.size and not p.is_discard]
    return min(stamps) - start, max(stamps) - start


def late(path: Path, seconds: float = 2.3, **options: Any) -> Path:
    """Three seconds of pictures after so many of sound alone."""
    times = [time + Fraction(seconds).limit_denominator(100) for time in TENTHS]
    return write(path, times, sound=[(0, seconds + 3)], **options)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_no_point_lies_before_the_first_picture(tmp_path: Path, name: str, decoder: str) -> None:
    path = late(tmp_path / name)
    assert read(decoder, path) == ([7, 17, 27], [3.0, 4.0, 5.0], pytest.approx(5.3, abs=2e-3))
    assert open_decoder(decoder).probe(path).duration == pytest.approx(5.3, abs=0.1)


def test_a_broadcast_whose_picture_comes_minutes_after_the_sound_is_read(tmp_path: Path) -> None:
    sound = [(begin, begin + 1) for begin in (0, 60, 120, 180)]
    path = write(tmp_path / "clip.ts", [time + 200 for time in TENTHS], sound=sound, bf="0")
    for decoder in DECODERS:
        numbers, times, end = read(decoder, path)
        assert len(numbers) == 3
        assert times[0] == pytest.approx(200, abs=1)
        assert end == pytest.approx(203, abs=0.1)


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_video_that_ends_before_the_next_point_has_one_frame(
    tmp_path: Path, decoder: str
) -> None:
    path = write(tmp_path / "clip.mp4", [t + Fraction(3, 10) for t in TENTHS[:3]], sound=[(0, 1)])
    assert read(decoder, path)[:2] == ([2], [0.5])


@pytest.mark.parametrize("decoder", DECODERS)
def test_less_than_a_frame_of_sound_before_the_picture_counts_as_none(
    tmp_path: Path, decoder: str
) -> None:
    path = late(tmp_path / "clip.mkv", 0.08, bf="0")
    assert read(decoder, path)[:2] == ([0, 10, 20], [0.0, 1.0, 2.0])


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_notebook_sampling_keeps_its_frames_and_has_the_times_of_the_file(
    tmp_path: Path, decoder: str
) -> None:
    path = late(tmp_path / "clip.mp4")
    assert read(decoder, path, sampling="notebook")[:2] == ([0, 10, 20], [2.3, 3.3, 4.3])


@pytest.mark.parametrize(
    "make",
    [
        lambda whole, path: ffmpeg("-ss", 3.35, "-i", whole, "-c", "copy", path),
        lambda whole, path: ffmpeg("-i", whole, "-c", "copy", "-output_ts_offset", 7, path),
        lambda whole, path: ffmpeg(
            "-itsoffset", 2.5, "-i", whole, "-i", whole, "-map", "0:v", "-map", "1:a", "-c",
            "copy", path,
        ),
    ],
    ids=["cut", "offset", "delayed"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts", "clip.flv"])
def test_copied_streams_come_at_the_times_of_the_file(
    tmp_path: Path, name: str, make: Callable[[Path, Path], None]
) -> None:
    tenths = [Fraction(i, 10) for i in range(80)]
    whole = write(tmp_path / "whole.mp4", tenths, sound=[(0, 8)], g="30")
    make(whole, tmp_path / name)
    first, last = by_ffmpeg(tmp_path / name)
    for decoder in DECODERS:
        numbers, times, end = read(decoder, tmp_path / name, rate=10)
        assert times[0] == pytest.approx(first, abs=0.1), decoder
        assert times[-1] == pytest.approx(last, abs=0.1), decoder
        assert end == pytest.approx(last + 0.1, abs=0.1), decoder
        assert numbers == list(range(numbers[0], 80)), decoder
        duration = open_decoder(decoder).probe(tmp_path / name).duration
        assert duration == pytest.approx(end, abs=0.2), decoder


FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof+frag_discont"}
DASH = {"movflags": f"{FRAGMENTS['movflags']}+dash"}


@pytest.mark.parametrize("sound", [[], [(0, 3)]], ids=["silent", "sound"])
@pytest.mark.parametrize("seconds", [0, 2, 20_000, 1_700_000_000])
@pytest.mark.parametrize(
    ("name", "options"),
    [("clip.mp4", FRAGMENTS), ("clip.mp4", DASH), ("clip.nut", {}), ("clip.asf", {})],
    ids=["fragments", "dash", "nut", "asf"],
)
def test_a_clock_that_does_not_start_at_0_is_no_duration(
    tmp_path: Path, name: str, options: dict[str, str], seconds: int, sound: list[Any]
) -> None:
    """A recorder of live video goes on counting, or counts from 1970."""
    if name == "clip.asf" and seconds > 2**31 / 1000:
        pytest.skip("ASF counts milliseconds in 32 bits")
    codec = "wmv2" if name == "clip.asf" else "libx264"
    path = write(
        tmp_path / name,
        [time + seconds for time in TENTHS],
        codec=codec,
        bf="0" if codec == "wmv2" else "2",
        sound=[(begin + seconds, end + seconds) for begin, end in sound],
        muxing={**options, **({"avoid_negative_ts": "disabled"} if seconds else {})},
    )
    with av.open(str(path)) as container:
        assert container.start_time / av.time_base == pytest.approx(seconds, abs=0.25)
    for decoder in DECODERS:
        numbers, times, end = read(decoder, path)
        assert numbers == sorted(set(numbers)), decoder
        assert len(times) == 3, decoder
        assert 0 <= times[0] < times[-1] < end, decoder
        assert end == pytest.approx(3.0, abs=0.25), decoder
        duration = open_decoder(decoder).probe(path).duration
        assert duration == pytest.approx(end, abs=0.25), decoder


@pytest.mark.parametrize("flags", ["frag_keyframe", "frag_keyframe+delay_moov", "dash+delay_moov"])
@pytest.mark.parametrize("seconds", [2, 20])
@pytest.mark.parametrize("sound", [False, True], ids=["silent", "sound"])
def test_what_an_edit_list_puts_before_fragments_is_taken_off_no_duration(
    tmp_path: Path, flags: str, seconds: int, sound: bool
) -> None:
    path = write(
        tmp_path / "clip.mp4",
        [time + seconds for time in TENTHS],
        codec="libx264",
        bf="0",
        sound=[(0, 23)] if sound else [],
        muxing={"movflags": flags, "avoid_negative_ts": "disabled"},
    )
    for decoder in DECODERS:
        duration = open_decoder(decoder).probe(path).duration
        assert duration == pytest.approx(3.0 + (seconds if sound else 0), abs=0.25), decoder


class TestPrograms:
    """A recording of a whole frequency; each program has a clock of its own."""

    @pytest.mark.parametrize("offset", [-40, -5, 5, 40])
    def test_the_sound_of_another_program_does_not_count(self, tmp_path: Path, offset: int) -> None:
        times = [Fraction(i, 10) for i in range(200)]
        one = program(tmp_path / "1.ts", 1, [t + 50 for t in times], sound=[(50, 70)])
        begin = 50 + offset
        two = program(tmp_path / "2.ts", 2, [t + begin for t in times], sound=[(begin, begin + 20)])
        path = multiplexed(tmp_path / "both.ts", one, two)
        with av.open(str(path)) as container:
            assert len(container.streams.audio) == 2
        assert_both_give(path, (list(range(0, 200, 10)), list(range(20)), 20.0))

    def test_the_sound_of_its_own_program_counts(self, tmp_path: Path) -> None:
        times = [Fraction(i, 10) for i in range(100)]
        one = program(tmp_path / "1.ts", 1, [t + 55 for t in times], sound=[(50, 65)])
        two = program(tmp_path / "2.ts", 2, [t + 10 for t in times], sound=[(10, 20)])
        path = multiplexed(tmp_path / "both.ts", one, two)
        for decoder in DECODERS:
            numbers, seconds, _ = read(decoder, path)
            assert seconds[0] - numbers[0] / 10 == pytest.approx(5, abs=0.1)

    def test_a_gap_is_no_hold_because_another_program_is_heard(self, tmp_path: Path) -> None:
        ones = [
            program(tmp_path / f"1{n}.ts", 1, [t + start for t in TENTHS], first=first, sound=[])
            for n, (start, first) in enumerate([(50, 0), (90, 30)])
        ]
        one = joined(tmp_path / "1.ts", *ones)
        two = program(tmp_path / "2.ts", 2, [t + 50 for t in TENTHS], sound=[(50, 100)])
        path = multiplexed(tmp_path / "both.ts", one, two)
        assert_both_give(path, (list(range(0, 60, 10)), list(range(6)), 6.0))


def program(path: Path, number: int, times: Any, **settings: Any) -> Path:
    """A file of one program, with numbers of its streams that no other program has."""
    plain = write(path.with_name(f"plain-{path.name}"), times, **settings)
    ffmpeg("-i", plain, "-map", 0, "-c", "copy", "-copyts", "-muxdelay", 0, "-mpegts_pmt_start_pid",
           4096 + number, "-mpegts_start_pid", 256 * number, path)  # fmt: skip
    return path


def test_cues_of_a_track_are_timed_as_the_pictures_are(tmp_path: Path) -> None:
    lines = tmp_path / "lines.srt"
    lines.write_text("1\n00:00:04,000 --> 00:00:05,000\nfour\n")
    for name, codec in (("clip.mp4", "mov_text"), ("clip.mkv", "srt")):
        source = late(tmp_path / f"late-{name}")
        ffmpeg("-i", source, "-i", lines, "-map", 0, "-map", 1, "-c", "copy", "-c:s", codec,
               tmp_path / name)  # fmt: skip
        assert embedded_cues(tmp_path / name) == (
            Cue(pytest.approx(4.0, abs=0.03), pytest.approx(5.0, abs=0.03), "four"),
        )


@pytest.mark.parametrize("method", ["fixed", "semantic"])
def test_segments_begin_with_the_picture_and_hold_what_is_said_before(
    tmp_path: Path, reader: MediaReader, method: Any
) -> None:
    path = late(tmp_path / "clip.mp4", 5)
    frames = FrameEmbedder(reader, FakeEncoder()).embed(path)
    cues = [Cue(1.0, 2.0, "early"), Cue(6.2, 6.4, "late")]
    video = assemble(frames, segments=SegmentPolicy(method, length=1.0), cues=cues)
    assert video.segments[0].start == 5.0
    assert video.segments[0].text.startswith("early")
    assert "late" in [word for each in video.segments[1:] for word in each.text.split()]
    assert video.duration == pytest.approx(8.0, abs=2e-3)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("name", ["still.mp4", "still.mkv"])
def test_a_still_picture_of_an_hour_is_encoded_once(
    tmp_path: Path, name: str, decoder: str
) -> None:
    path = remuxed(
        write(tmp_path / "whole.mp4", [0], bf="0"),
        tmp_path / name,
        lambda _, packet: setattr(packet, "duration", round(3600 / packet.time_base)),
    )
    encoder = CountingEncoder()
    held = FrameEmbedder(DirectReader(decoder, limits=DEFAULT_LIMITS), encoder).embed(path)
    assert encoder.batches == [1]
    assert (len(held), held.points, held.vectors.shape) == (3600, 3600, (1, 32))
    assert held.pts_seconds.tolist() == [0.0] * 3600
    assert len(held.expanded()) == 3600


@pytest.mark.parametrize("decoder", DECODERS)
def test_frames_of_one_picture_are_encoded_once_and_keep_their_times(
    tmp_path: Path, decoder: str
) -> None:
    """Of a camera that shows nothing new, or a still that was encoded frame by frame."""
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for second in [3] * 40 + [5] * 20 + [3] * 20:
            picture = av.VideoFrame.from_ndarray(counter_frame(second), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    encoder = CountingEncoder()
    reader = DirectReader(decoder, limits=DEFAULT_LIMITS)
    frames = FrameEmbedder(reader, encoder, batch_size=2).embed(path)
    assert (encoder.batches, frames.repeats.tolist()) == ([2], [4, 2, 2])
    np.testing.assert_allclose(frames.pts_seconds, range(8), atol=2e-3)
    one_by_one = np.concatenate(
        [
            FakeEncoder().encode_frames(batch)
            for k in range(8)
            for batch in reader.frames(path, start=k, stop=k + 1)
        ]
    )
    np.testing.assert_allclose(frames.expanded(), one_by_one, atol=1e-6)
    mean = one_by_one.mean(axis=0) / np.linalg.norm(one_by_one.mean(axis=0))
    assert float(frames.mean() @ mean) >= 0.999999
    assert [len(part) for part in (frames, frames.expanded())] == [8, 8]


STILLS: dict[str, dict[str, Any]] = {
    "lossless.mkv": {"codec": "ffv1"},
    "refined.mp4": {"codec": "libx264", "options": {"g": "50", "bf": "2"}},
}
"""Written frame by frame: none of the packets says that the picture is held."""


@pytest.mark.parametrize("count", [1, 6], ids=["in-one-go", "in-slices"])
@pytest.mark.parametrize("name", list(STILLS))
def test_a_still_of_an_hour_that_was_encoded_frame_by_frame_takes_five_passes_at_most(
    tmp_path: Path, name: str, count: int
) -> None:
    still, times = moving_frame(7, width=64, height=48), [Fraction(i, 2) for i in range(7200)]
    path = write_clip(tmp_path / name, times, picture=lambda _: still, rate=2, **STILLS[name])
    reader, encoder = DirectReader("pyav", limits=DEFAULT_LIMITS), CountingEncoder()
    assert reader.can_seek(path), "workers embed it in slices"
    embedder = FrameEmbedder(reader, encoder)
    slices = Slice.all_of("a", "c" * 64, count=count, seconds=3600 / count)
    ranges = [embedder.embed(path, start=one.start, stop=one.stop) for one in slices]
    assert 1 <= len(encoder.batches) <= 5
    vectors = np.concatenate([frames.expanded() for frames in ranges])
    assert len(vectors) == 3600
    with reader.frames(path, start=3599) as frames:
        (last,) = frames
    np.testing.assert_array_equal(vectors[-1:], FakeEncoder().encode_frames(last))


def test_a_sparse_video_is_not_read_in_ranges(tmp_path: Path, reader: MediaReader) -> None:
    lapse = write(tmp_path / "lapse.mkv", [Fraction(5 * i) for i in range(12)], bf="0", g="1")
    assert not reader.can_seek(lapse)
    assert reader.can_seek(write(tmp_path / "clip.mkv", TENTHS, bf="0"))
