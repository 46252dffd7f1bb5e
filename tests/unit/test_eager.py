"""``task_always_eager``: a registered video is ingested in the same process, without a broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from vidsearch.config import Settings
from vidsearch.encoders import Vectors
from vidsearch.errors import ConfigError, EncoderError
from vidsearch.media import FrameBatch
from vidsearch.registry import State
from vidsearch.testing.clips import solid, write_clip
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.in_process import videos_in_process
from vidsearch_tasks import (
    Services,
    current_services,
    register_video,
    register_videos,
    update_fields,
    video_status,
)

NO_BROKER = "redis://127.0.0.1:1/0"


class Failing(FakeEncoder):
    """Fails as often as told, after its probe."""

    failures = 0
    calls = 0

    def encode_frames(self, frames: FrameBatch) -> Vectors:
        self.calls += 1
        if self.calls > 1 and self.failures:
            self.failures -= 1
            raise EncoderError("a hiccup")
        return super().encode_frames(frames)


@pytest.fixture
def encoder() -> Failing:
    return Failing()


@pytest.fixture
def services(encoder: Failing) -> Iterator[Services]:
    settings = Settings(ingest={"slice_seconds": 4, "isolate": False})
    with videos_in_process(settings, encoder=encoder) as services:
        yield services


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    times = [i / 5 for i in range(15)]
    return write_clip(tmp_path / "a.mp4", times, picture=solid((255, 0, 0)), rate=5)


def test_the_services_of_the_process_are_back_afterwards() -> None:
    before = current_services()
    with videos_in_process() as services:
        assert current_services() is services
    assert current_services() is before


def test_registered_video_is_indexed_at_once(services: Services, clip: Path) -> None:
    record = register_video("a", uri=str(clip), fields={"title": "Red"})
    assert (record.state, record.attempts, record.frames) == (State.INDEXED, 1, 3)
    assert services.open_index().count() == 1
    assert update_fields("a", {"title": "Dark red"}).state is State.INDEXED


def test_many_videos_end_with_their_own_states(services: Services, clip: Path) -> None:
    done = register_videos(
        [{"id": "a", "uri": str(clip)}, {"id": "b", "uri": f"{clip}.absent"}, {"id": "", "uri": ""}]
    )
    assert [one.record.state if one.record else None for one in done] == [
        State.INDEXED,
        State.FAILED,
        None,
    ]
    error = video_status("b").error
    assert error is not None
    assert error.type == "SourceNotFoundError"


def test_long_video_is_made_of_its_slices(services: Services, tmp_path: Path) -> None:
    times = [i / 5 for i in range(60)]
    film = write_clip(tmp_path / "film.mp4", times, rate=5, options={"g": "5"})
    record = register_video("film", uri=str(film))
    assert (record.state, record.frames) == (State.INDEXED, 12)
    assert list(services.board.entries.scan(*State)) == []


def test_failed_attempt_is_repeated_without_waiting(
    services: Services, encoder: Failing, clip: Path
) -> None:
    encoder.failures = 2
    record = register_video("a", uri=str(clip))
    assert (record.state, record.attempts) == (State.INDEXED, 3)
    encoder.failures = 9
    record = register_video("b", uri=str(clip), fields={"title": "b"})
    assert record.state is State.INDEXED, "a copy is embedded once"


def test_video_that_fails_each_time_is_given_up(
    services: Services, encoder: Failing, clip: Path
) -> None:
    encoder.failures = 99
    record = register_video("a", uri=str(clip))
    assert (record.state, record.attempts) == (State.DEAD, 3)


def test_app_that_the_tasks_do_not_know_is_refused(services: Services, clip: Path) -> None:
    app = Celery("another", broker=NO_BROKER, set_as_current=False)
    app.conf.task_always_eager = True
    other = Services(services.settings, app=app)
    other.__dict__["engine"] = services.engine
    with pytest.raises(ConfigError, match=r"call vidsearch_tasks\.configure\(settings, app=app\)"):
        register_video("a", uri=str(clip), services=other)


def test_nothing_is_written_to_the_stores_of_the_environment(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for section in ("EMBEDDINGS", "THUMBNAILS"):
        monkeypatch.setenv(f"VIDSEARCH_{section}__URL", str(tmp_path / section))
    with videos_in_process():
        assert register_video("clip-1", uri=str(clip)).state is State.INDEXED
    assert [path.name for path in tmp_path.iterdir()] == [clip.name]
