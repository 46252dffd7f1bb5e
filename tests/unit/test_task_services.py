"""What the tasks' services build, keep and forget."""

from __future__ import annotations

import contextlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from celery import Celery

from vidsearch.config import IndexSettings, Settings
from vidsearch.encoders import ModelIdentity
from vidsearch.errors import ModelMismatchError
from vidsearch.index import VideosIndex, create_videos_index, open_videos_index
from vidsearch.once import built
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_tasks.services import Services


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Services:
    # Set, so that after_fork leaves the environment of this process alone.
    monkeypatch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
    monkeypatch.setenv("MKL_NUM_THREADS", os.environ.get("MKL_NUM_THREADS", "1"))
    app = Celery("application", set_as_current=False)
    return Services(Settings(), encoder=FakeEncoder(), app=app)


def test_what_is_handed_in_is_used_as_it_is_before_and_after_a_fork(services: Services) -> None:
    held = services.settings, services.encoder, services.app
    services.after_fork()
    for before, after in zip(
        held, (services.settings, services.encoder, services.app), strict=True
    ):
        assert after is before


def test_a_fork_forgets_what_the_parent_built(services: Services) -> None:
    reader = services.reader
    assert services.reader is reader
    services.after_fork()
    assert "reader" not in built(services)
    assert services.reader is not reader
    reader.close()
    services.close()


def test_a_fork_during_a_build_of_the_parent_does_not_block_the_child(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, finish = threading.Event(), threading.Event()

    def slow(*arguments: object, **options: object) -> object:
        started.set()
        assert finish.wait(120)
        return object()

    monkeypatch.setattr("vidsearch.media.open_reader", slow, raising=False)
    with ThreadPoolExecutor(2) as pool:
        pool.submit(lambda: services.reader)
        assert started.wait(60)
        try:
            services.after_fork()
            assert pool.submit(lambda: services.encoder).result(timeout=60) is not None
        finally:
            finish.set()


def test_close_closes_what_was_built_and_allows_further_use(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[object] = []
    reader = services.reader
    monkeypatch.setattr(type(reader), "close", lambda self: closed.append(self))
    services.close()
    assert closed == [reader]
    assert built(services) == {}
    assert services.reader is not reader
    services.close()


def test_leaving_the_context_closes_what_was_built_even_after_an_error(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[object] = []
    monkeypatch.setattr(type(services.reader), "close", lambda self: closed.append(self))
    reader = services.reader
    with contextlib.suppress(ZeroDivisionError), services as entered:
        assert entered is services
        raise ZeroDivisionError
    assert closed == [reader]
    assert built(services) == {}


def test_an_index_of_the_model_at_hand_gets_its_encoder(services: Services) -> None:
    index = index_of(services.encoder.identity)
    assert services.encoder_for(index) is services.encoder


def test_an_index_of_a_model_that_is_not_to_be_had_names_both(services: Services) -> None:
    other = FakeEncoder(revision="2").identity
    with pytest.raises(ModelMismatchError, match=r"(?s)index 'videos'.*fake@2.*fake@1"):
        services.encoder_for(index_of(other))


def index_of(identity: ModelIdentity) -> VideosIndex:
    """The index, made for a model."""
    engine = MemoryEngine()
    create_videos_index(engine, IndexSettings(), identity)
    return open_videos_index(engine, IndexSettings())
