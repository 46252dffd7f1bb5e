"""Which model a search takes, and when it loads the one of the index that will be next."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest
from tests.search_index import TableEncoder, create_index, make_videos, unit_vectors

from vidsearch.config import IngestSettings, ModelSettings
from vidsearch.encoders import EncoderPool, Vectors
from vidsearch.engines import Engine, Json
from vidsearch.errors import BackendAccessDeniedError, ModelMismatchError
from vidsearch.search import VideoSearch
from vidsearch.search.models import Models
from vidsearch.testing.memory_engine import MemoryEngine

VIDEOS = make_videos(20)
FIRST, SECOND = "videos-000001", "videos-000002"


class Second(TableEncoder):
    """The model of the second index; its texts have other vectors."""

    made: ClassVar[list[Second]] = []
    on_text: ClassVar[Any] = None

    def __init__(self, settings: Any, ingest: Any) -> None:
        super().__init__(revision="2")
        Second.made.append(self)

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        if Second.on_text:
            Second.on_text()
        return super().encode_text([f"{text}, otherwise" for text in texts])


class AskedEngine(MemoryEngine):
    """Remembers the query vectors that each index was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.vectors: list[tuple[str, list[float]]] = []

    def indices_behind(self, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        self.asked += names
        return super().indices_behind(names)

    def msearch(self, index: str, bodies: Sequence[Mapping[str, Any]]) -> list[Json]:
        (behind,) = super().indices_of(index)
        self.vectors += [(behind, b["knn"]["query_vector"]) for b in bodies if "knn" in b]
        return super().msearch(index, bodies)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    Second.made = []
    Second.on_text = None
    monkeypatch.setattr("vidsearch.search.models._SOON_SECONDS", 0.0)


@pytest.fixture
def engine() -> AskedEngine:
    engine = AskedEngine()
    create_index(engine, FIRST, VIDEOS, alias="videos")
    create_index(engine, SECOND, VIDEOS, identity=TableEncoder(revision="2").identity)
    return engine


@pytest.fixture
def first() -> TableEncoder:
    return TableEncoder()


@pytest.fixture
def pool(first: TableEncoder) -> EncoderPool:
    model = ModelSettings(name="demo", others=(f"{__name__}:Second",))
    return EncoderPool(lambda: first, model, IngestSettings())


def write_both(engine: Engine) -> None:
    engine.update_aliases(
        [{"add": {"index": each, "alias": "videos-write"}} for each in (FIRST, SECOND)]
    )


def swap(engine: Engine, old: str, new: str) -> None:
    engine.update_aliases(
        [{"remove": {"index": old, "alias": "videos"}}, {"add": {"index": new, "alias": "videos"}}]
    )


def loader() -> threading.Thread | None:
    """The thread that loads a model ahead, if there is one."""
    return next((t for t in threading.enumerate() if t.name.startswith("vidsearch-model")), None)


def test_the_model_is_that_of_the_index_that_answers(
    engine: AskedEngine, pool: EncoderPool
) -> None:
    search = VideoSearch(engine, pool)
    assert search.search("dog", mode="vector").index == FIRST
    swap(engine, FIRST, SECOND)
    assert search.search("dog", mode="vector").index == SECOND
    swap(engine, SECOND, FIRST)
    assert search.search("dog", mode="vector").index == FIRST
    # Right after a swap, the index is still asked with the vector of the other one; that answer
    # is thrown away.
    of = {FIRST: unit_vectors("dog", 1)[0], SECOND: unit_vectors("dog, otherwise", 1)[0]}
    asked = [(index, vector == of[index].tolist()) for index, vector in engine.vectors]
    to_second, back = [(SECOND, False), (SECOND, True)], [(FIRST, False), (FIRST, True)]
    assert asked == [(FIRST, True), *to_second, *back]
    assert len(Second.made) == 1


def test_many_searches_at_once_take_one_model(engine: AskedEngine, pool: EncoderPool) -> None:
    search = VideoSearch(engine, pool)
    search.search("dog")
    swap(engine, FIRST, SECOND)
    results = search.search_many(["dog", "red circle"], mode="vector")
    assert {each.index for each in results} == {SECOND}
    wanted = [unit_vectors(f"{text}, otherwise", 1)[0].tolist() for text in ("dog", "red circle")]
    assert [vector for _, vector in engine.vectors[-2:]] == wanted


def test_body_and_embed_take_the_model_of_the_index(engine: AskedEngine, pool: EncoderPool) -> None:
    swap(engine, FIRST, SECOND)
    search = VideoSearch(engine, pool)
    wanted = unit_vectors("dog, otherwise", 1)[0].tolist()
    assert search.body("dog")["vector"]["knn"]["query_vector"] == wanted
    assert search.embed("dog").tolist() == wanted


def test_embed_without_an_index_takes_the_configured_model(first: TableEncoder) -> None:
    assert (VideoSearch(MemoryEngine(), first).embed("dog") == unit_vectors("dog", 1)[0]).all()


def test_the_model_of_the_index_to_come_is_loaded_ahead(
    engine: AskedEngine, pool: EncoderPool
) -> None:
    began, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        began.set()
        assert go_on.wait(60)

    Second.on_text = wait
    write_both(engine)
    search = VideoSearch(engine, pool)
    assert search.search("dog").index == FIRST
    assert began.wait(60)
    # It is being loaded, and searches go on.
    assert search.search("red circle").index == FIRST
    thread = loader()
    assert thread is not None
    go_on.set()
    thread.join(60)
    Second.on_text = None
    swap(engine, FIRST, SECOND)
    assert search.search("dog").index == SECOND
    assert [each.asked for each in Second.made] == [["a red circle, otherwise", "dog, otherwise"]]


def test_a_program_that_ends_after_its_search_neither_waits_for_the_model_to_come_nor_aborts_it(
    engine: AskedEngine, pool: EncoderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ended:
        @staticmethod
        def is_alive() -> bool:
            return False

    write_both(engine)
    monkeypatch.setattr("vidsearch.search.models._SOON_SECONDS", 3600.0)
    assert VideoSearch(engine, pool).search("dog").index == FIRST
    thread = loader()
    assert thread is not None
    assert not thread.daemon, "a thread that has begun is not stopped amid its work"
    monkeypatch.setattr(threading, "main_thread", Ended)
    thread.join(60)
    assert not thread.is_alive()
    assert Second.made == []


def test_searches_without_a_model_never_ask_for_the_write_alias(engine: AskedEngine) -> None:
    write_both(engine)
    search = VideoSearch(engine, encoder=None)  # type: ignore[arg-type]
    search.search("circle", mode="keyword")
    search.search(like="v01")
    search.search(vector=unit_vectors("dog", 1)[0])
    assert "videos-write" not in engine.asked
    assert loader() is None


def test_the_write_alias_is_asked_for_every_ten_seconds(
    engine: AskedEngine, pool: EncoderPool
) -> None:
    now = [100.0]
    models = Models(lambda: pool, alias="videos", clock=lambda: now[0])
    models.used(pool.configured, frames=False)
    for seconds in (0, 5, 4.9, 0.2, 9):
        now[0] += seconds
        engine.run(models.look_ahead(engine.calls, FIRST))
    assert engine.asked.count("videos-write") == 2


def test_a_write_alias_that_may_not_be_asked_for_fails_no_search(pool: EncoderPool) -> None:
    class Closed(AskedEngine):
        def indices_behind(self, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
            raise BackendAccessDeniedError("no right to it")

    engine = Closed()
    create_index(engine, FIRST, VIDEOS, alias="videos")
    assert VideoSearch(engine, pool).search("dog").index == FIRST


def test_a_coming_model_that_is_not_found_is_a_warning_and_fails_searches_after_the_swap(
    engine: AskedEngine, first: TableEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    write_both(engine)
    search = VideoSearch(engine, first)
    with caplog.at_level(logging.WARNING, logger="vidsearch.search.models"):
        assert search.search("dog").index == FIRST
        if (thread := loader()) is not None:
            thread.join(60)
    (said,) = caplog.messages
    assert f"searches will fail once index '{SECOND}' answers" in said
    assert "table@2" in said
    assert "table@1" in said
    assert search.search("dog").index == FIRST
    swap(engine, FIRST, SECOND)
    with pytest.raises(ModelMismatchError, match="table@2"):
        search.search("dog")
    assert search.search("circle", mode="keyword").index == SECOND
