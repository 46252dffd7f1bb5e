"""The packets of a file are read once for its ranges that are read one after the other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.ingest_stage import aged
from tests.programs import ffmpeg

from vidsearch.media.frames import DEFAULT_LIMITS
from vidsearch.media.pyav import last_packets, planned
from vidsearch.media.pyav.decoder import PyAvDecoder
from vidsearch.testing.clips import counter_frame, read_counter, write_clip

pytest.importorskip("av")


REMUXED = {
    "fragments.mp4": ["-movflags", "frag_keyframe+empty_moov"],
    "live.mkv": ["-live", "1"],
}
"""Files without an index at one place."""


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose packets are read, from now on."""
    names: list[str] = []
    real = last_packets.read_packets

    def read(video: last_packets.Video) -> last_packets.PacketIndex:
        names.append(video.path.name)
        return real(video)

    monkeypatch.setattr(last_packets, "read_packets", read)
    return names


def film(path: Path, *, first: int = 0) -> Path:
    """Twelve seconds with a key frame each two, whose pictures are numbered."""
    times = [i / 5 for i in range(60)]
    options = {"g": "10", "bf": "2"}
    return aged(
        write_clip(path, times, rate=5, options=options, picture=lambda n: counter_frame(n + first))
    )


def shown(decoder: PyAvDecoder, path: Path, start: float, stop: float | None) -> list[int]:
    with decoder.frames(path, start=start, stop=stop) as frames:
        return [read_counter(picture) for batch in frames for _, picture in batch.frames()]


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "fragments.mp4", "live.mkv"])
def test_ranges_of_one_film_read_its_packets_once_and_show_what_is_there(
    tmp_path: Path, readings: list[str], name: str
) -> None:
    path, decoder = film(tmp_path / name), PyAvDecoder(limits=DEFAULT_LIMITS)
    if given := REMUXED.get(name):
        path = path.rename(tmp_path / f"whole{path.suffix}")
        ffmpeg("-i", path, "-c", "copy", *given, tmp_path / name)
        path = aged(tmp_path / name)
    assert decoder.can_seek(path)
    ranges = [(8.0, None), (0.0, 4.0), (4.0, 8.0)]
    assert [shown(decoder, path, *each) for each in ranges] == [
        [40, 45, 50, 55],
        [0, 5, 10, 15],
        [20, 25, 30, 35],
    ]
    assert readings == [name]


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv"])
def test_a_range_late_in_a_film_is_not_read_from_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path, decoder = film(tmp_path / name), PyAvDecoder(limits=DEFAULT_LIMITS)
    packets: list[int | None] = []
    real = planned.packets_of

    def counted(video: planned.Video) -> Iterator[Any]:
        for packet in real(video):
            packets.append(packet.pts)
            yield packet

    monkeypatch.setattr(planned, "packets_of", counted)
    assert shown(decoder, path, 10.0, None) == [50, 55]
    assert 2 <= len(packets) <= 12, "the last of six groups of ten, whose first is looked at twice"


def test_another_file_and_a_changed_one_are_read_anew(tmp_path: Path, readings: list[str]) -> None:
    path, decoder = film(tmp_path / "film.mp4"), PyAvDecoder(limits=DEFAULT_LIMITS)
    other = film(tmp_path / "other.mp4", first=100)
    assert shown(decoder, path, 0.0, 2.0) == [0, 5]
    assert shown(decoder, other, 0.0, 2.0) == [100, 105]
    assert shown(decoder, path, 2.0, 4.0) == [10, 15]
    aged(film(path, first=100))
    later = path.stat().st_mtime + 10
    os.utime(path, (later, later))
    assert shown(decoder, path, 2.0, 4.0) == [110, 115]
    assert readings == ["film.mp4", "other.mp4", "film.mp4", "film.mp4"]


def test_a_file_that_has_just_changed_and_a_broadcast_are_read_each_time(
    tmp_path: Path, readings: list[str]
) -> None:
    path, decoder = film(tmp_path / "film.mp4"), PyAvDecoder(limits=DEFAULT_LIMITS)
    path.touch()
    stream = film(tmp_path / "film.ts")
    for each in (path, path, stream, stream):
        assert shown(decoder, each, 2.0, 4.0) == [10, 15]
    assert readings == ["film.mp4"] * 2 + ["film.ts"] * 2
