"""Frame vectors of time ranges, and the video that is assembled from them, on real files."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vidsearch.config import IngestSettings, SourceSettings
from vidsearch.embeddings import (
    FrameEmbedder,
    FrameVectors,
    SegmentPolicy,
    assemble,
    embed_uri,
    embed_video,
)
from vidsearch.encoders import mean_unit
from vidsearch.errors import NoFramesError, VideoDamagedError
from vidsearch.media import Cue, MediaLimits, Sampling, ThumbnailStore
from vidsearch.media.direct_reader import DirectReader
from vidsearch.testing.clips import write_clip
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.odd_clips import Track, write_tracks


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Twelve seconds whose frames all differ."""
    return write_clip(
        tmp_path / "clip.mp4",
        [i / 10 for i in range(120)],
        rate=10,
        options={"g": "10", "bf": "0"},
    )


def embedded(
    path: Path, *, start: float = 0.0, stop: float | None = None, **options: Any
) -> FrameVectors:
    reader = DirectReader("pyav", limits=MediaLimits())
    return FrameEmbedder(reader, FakeEncoder(), **options).embed(path, start=start, stop=stop)


def assert_equal(one: FrameVectors, other: FrameVectors) -> None:
    np.testing.assert_array_equal(one.pts_seconds, other.pts_seconds)
    np.testing.assert_array_equal(one.vectors, other.vectors)
    for name in ("end_seconds", "damaged", "points", "width", "height"):
        assert getattr(one, name) == getattr(other, name), name


def damage(path: Path) -> None:
    """Overwrite the first quarter of the pictures."""
    content = bytearray(path.read_bytes())
    start, end = content.index(b"mdat") + 4, content.index(b"moov") - 4
    content[start : start + (end - start) // 4] = bytes((end - start) // 4)
    path.write_bytes(content)


@pytest.mark.parametrize("cuts", [(5.0,), (2.5, 7.0), (11.0,), (12.0,), (20.0,)])
@pytest.mark.parametrize("rate", [1.0, 3.0])
def test_joined_ranges_equal_the_whole_reading(
    clip: Path, cuts: tuple[float, ...], rate: float
) -> None:
    edges = [0.0, *cuts]
    ranges = [
        embedded(clip, rate=rate, batch_size=4, start=start, stop=stop)
        for start, stop in zip(edges, [*cuts, None], strict=True)
    ]
    assert_equal(FrameVectors.joined(ranges), embedded(clip, rate=rate, batch_size=4))


def test_joined_ranges_of_a_damaged_video_count_its_damage(clip: Path) -> None:
    damage(clip)
    whole = embedded(clip)
    joined = FrameVectors.joined([embedded(clip, stop=6.0), embedded(clip, start=6.0)])
    assert whole.damaged > 0
    assert (joined.damaged, joined.points) == (whole.damaged, whole.points)
    np.testing.assert_array_equal(joined.pts_seconds, whole.pts_seconds)


def test_a_range_ends_at_its_stop_and_the_last_one_at_the_end_of_the_video(clip: Path) -> None:
    assert embedded(clip, stop=5.0).end_seconds == 5.0
    assert len(embedded(clip, stop=5.0)) == 5
    assert embedded(clip, stop=500.0).end_seconds == pytest.approx(12.0, abs=0.01)


def test_frame_vectors_know_size_and_dims(clip: Path) -> None:
    frames = embedded(clip)
    assert frames.vectors.shape == (12, FakeEncoder().identity.dims)
    info = DirectReader("pyav", limits=MediaLimits()).probe(clip)
    assert (frames.width, frames.height) == (info.width, info.height)
    assert repr(frames).startswith("FrameVectors(12 frames, 0 of 12 points damaged, to 12.00 s, ")


def test_ranges_in_another_order_are_refused(clip: Path) -> None:
    first, second = embedded(clip, stop=6.0), embedded(clip, start=6.0)
    with pytest.raises(ValueError, match="descend"):
        FrameVectors.joined([second, first])


def test_times_and_vectors_of_different_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="need n times"):
        FrameVectors(np.zeros(2), np.zeros((3, 4), np.float32), 3.0, 0, 3, 8, 6)


def test_a_range_without_frames_has_no_mean(clip: Path) -> None:
    with pytest.raises(NoFramesError, match="no frame"):
        embedded(clip, start=100.0).mean()


def test_a_video_assembled_from_ranges_equals_one_embedded_whole(clip: Path) -> None:
    policy, cues = SegmentPolicy(length=4.0), [Cue(0.5, 3.0, "A red wall.")]
    whole = embed_video(
        lambda: clip,
        embedder=FrameEmbedder(DirectReader("pyav", limits=MediaLimits()), FakeEncoder()),
        segments=policy,
        cues=lambda: cues,
    )
    frames = FrameVectors.joined([embedded(clip, stop=5.0), embedded(clip, start=5.0)])
    made = assemble(
        frames,
        segments=policy,
        cues=cues,
        thumbnails=lambda spans: [f"{span.first}" for span in spans],
    )
    assert made.vector.tolist() == whole.vector.tolist() == mean_unit(frames.vectors).tolist()
    assert [(s.start, s.end, s.text) for s in made.segments] == [
        (s.start, s.end, s.text) for s in whole.segments
    ]
    for one, other in zip(made.segments, whole.segments, strict=True):
        assert one.vector.tolist() == other.vector.tolist()
    assert [segment.text for segment in made.segments] == ["A red wall.", "", ""]
    assert [segment.thumbnail for segment in made.segments] == ["0", "4", "8"]
    assert [segment.thumbnail for segment in whole.segments] == [None, None, None]
    assert (made.frames, made.duration) == (whole.frames, whole.duration)


def test_a_uri_is_embedded_as_the_settings_say(clip: Path) -> None:
    frames = embed_uri(
        str(clip),
        encoder=FakeEncoder(),
        ingest=IngestSettings(fps=2.0),
        sources=SourceSettings(),
        stop=3.0,
    )
    assert_equal(frames, embedded(clip, rate=2.0, stop=3.0))


@pytest.mark.parametrize("stop", [None, 600.0])
def test_a_uri_with_too_much_damage_is_refused_with_and_without_a_range(
    clip: Path, stop: float | None
) -> None:
    damage(clip)
    with pytest.raises(VideoDamagedError, match=r"clip\.mp4: \d+ of 12 frames"):
        embed_uri(
            str(clip),
            encoder=FakeEncoder(),
            ingest=IngestSettings(max_damaged=0.01),
            sources=SourceSettings(),
            stop=stop,
        )


@pytest.mark.parametrize("sampling", ["played-at", "notebook"])
def test_thumbnails_have_the_shape_on_display_in_either_sampling(
    tmp_path: Path, sampling: Sampling
) -> None:
    track = Track(tags={"sample_aspect_ratio": Fraction(2)})
    path = write_tracks(tmp_path / "clip.mp4", track)
    video = embed_video(
        lambda: path,
        embedder=FrameEmbedder(
            DirectReader("pyav", limits=MediaLimits()), FakeEncoder(), sampling=sampling
        ),
        segments=SegmentPolicy(),
        thumbnails=ThumbnailStore(str(tmp_path / "pictures")),
    )
    assert (video.width, video.height) == (256, 96)
    key = video.segments[0].thumbnail
    assert key is not None
    with Image.open(tmp_path / "pictures" / key) as thumbnail:
        assert thumbnail.size == (256, 96)
