"""Searches at a steady rate, by clients that stay open while the alias goes from model to model."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.search_index import Video, create_index
from tests.waiting import until

from vidsearch.config import EngineSettings, IndexSettings, ModelSettings, Settings
from vidsearch.encoders import Encoder, load_encoder, mean_unit
from vidsearch.engines import Engine
from vidsearch.media import FrameBatch
from vidsearch.search import AsyncVideoSearch, SearchResult, VideoSearch
from vidsearch.search.query_vector import MediaInput
from vidsearch.testing.checkpoints import turned_demo_checkpoint
from vidsearch.testing.clips import solid, write_clip

_log = logging.getLogger(__name__)
pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]  # two models are loaded

WORDS = ["a red circle", "a blue square", "a yellow star", "a green triangle", "a white house"]
RED = (235, 20, 20)
PERIOD = 0.02
"""Seconds between two searches of a task."""


@dataclass
class Model:
    """A model, its index, and what each search must find there: cosines of ids."""

    settings: ModelSettings
    index: str
    encoder: Encoder = field(init=False)
    cosines: dict[str, dict[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.encoder = load_encoder(self.settings)

    def create(self, engine: Engine, clip: Path) -> None:
        texts = self.encoder.encode_text(WORDS)
        vectors = dict(zip("abcde", texts, strict=True))
        picture = self.encoder.encode_frames(FrameBatch(_picture(), np.zeros(1)))[0]
        vectors["red"] = mean_unit(np.stack([picture, texts[0]]))
        videos = [
            Video(id, {"title": f"number {id}", "made_for": self.index}, vector[np.newaxis])
            for id, vector in vectors.items()
        ]
        create_index(
            engine, self.index, videos, identity=self.encoder.identity, quantization="flat"
        )
        of_clip = MediaInput().clip(clip, encoder=self.encoder)
        asked = {**dict(zip(WORDS, texts, strict=True)), "image": picture, "clip": of_clip}
        asked |= {"like a": vectors["a"], "like red": vectors["red"]}
        self.cosines = {
            name: {id: float(vector @ query) for id, vector in vectors.items()}
            for name, query in asked.items()
        }


def _picture() -> NDArray[np.uint8]:
    picture = np.zeros((1, 64, 64, 3), np.uint8)
    picture[:, 16:48, 16:48] = RED
    return picture


@dataclass
class Traffic:
    """What searches there are, and what became of each."""

    clip: Path
    models: dict[str, Model]
    done: list[tuple[str, float, SearchResult]] = field(default_factory=list)
    failed: list[BaseException] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    per_client: dict[str, int] = field(default_factory=dict)

    def searches(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Name and arguments, again and again."""
        every: list[tuple[str, dict[str, Any]]] = [
            (text, {"text": text, "mode": mode}) for text in WORDS for mode in ("vector", "hybrid")
        ]
        every[2:2] = [("image", {"image": _picture()[0]}), ("like a", {"like": "a"})]
        every[7:7] = [("clip", {"clip": str(self.clip)}), ("like red", {"like": "red", "at": 1.0})]
        return itertools.cycle(every)

    def record(self, client: str, name: str, began: float, result: SearchResult) -> None:
        self.done.append((name, time.perf_counter() - began, result))
        self.per_client[client] = self.per_client.get(client, 0) + 1

    async def task(self, number: int, client: AsyncVideoSearch) -> None:
        for name, options in itertools.islice(self.searches(), 3 * number, None):
            if self.over.is_set():
                return
            began = time.perf_counter()
            try:
                self.record(f"task {number}", name, began, await client.search(**options))
            except Exception as error:
                self.failed.append(error)
            await asyncio.sleep(PERIOD)

    def thread(self, client: VideoSearch) -> None:
        for name, options in self.searches():
            if self.over.is_set():
                return
            began = time.perf_counter()
            try:
                self.record("thread", name, began, client.search(**options))
            except Exception as error:
                self.failed.append(error)
            time.sleep(PERIOD)

    def goes_on(self, least: int = 5) -> None:
        """Wait until each client has made so many further searches."""
        before = dict(self.per_client)
        until(
            lambda: all(self.per_client.get(c, 0) >= n + least for c, n in before.items()),
            what="each client makes further searches",
        )

    def check(self) -> None:
        """No search failed, and each result is of one index and its model."""
        assert self.failed == []
        for name, _, result in self.done:
            expected = self.models[result.index].cosines[name]
            assert result.hits, name
            for hit in result.hits:
                assert hit.fields["made_for"] == result.index
                assert hit.cosine == pytest.approx(expected[hit.id], abs=2e-3), (name, result)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Loads:
    return Loads(monkeypatch)


class Loads:
    """Says which threads load weights, and holds loading up while ``gate`` is closed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from vidsearch.encoders import towers

        self.threads: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        load = towers.load_tower

        def watched(*args: Any, **kwargs: Any) -> Any:
            self.threads.append(threading.current_thread().name)
            assert self.gate.wait(300)
            return load(*args, **kwargs)

        monkeypatch.setattr(towers, "load_tower", watched)
        # Ten seconds each time would be long for a test.
        monkeypatch.setattr("vidsearch.search.models._AGE", 0.5)


# What searches are by, and find, is held to all three nodes by test_search_engines.py.
@pytest.mark.one_node("es-9.5.3")
def test_changes_of_the_model_there_and_back_fail_no_search_mix_no_result_and_keep_nobody_waiting(
    engine: Engine,
    index_name: str,
    tmp_path: Path,
    loads: Loads,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clip = write_clip(tmp_path / "red.mp4", [i / 5 for i in range(10)], picture=solid(RED), rate=5)
    folders = [turned_demo_checkpoint(tmp_path / f"model-{n}", seed=n) for n in (1, 2)]
    models = [
        Model(ModelSettings(name=str(name)), f"{index_name}-00000{number}")
        for number, name in enumerate(["demo", *folders], start=1)
    ]
    for model in models:
        model.create(engine, clip)
    engine.update_aliases([{"add": {"index": models[0].index, "alias": index_name}}])
    settings = Settings(
        engine=EngineSettings(url=engine.info().url),
        index=IndexSettings(name=index_name),
        model=ModelSettings(name="demo", others=tuple(map(str, folders))),
    )
    traffic = Traffic(clip, {model.index: model for model in models})
    for name in (__name__, "vidsearch.search.models"):
        caplog.set_level(logging.INFO, logger=name)

    def change(old: Model, new: Model, *, is_kept: bool) -> None:
        loads.gate.clear()
        both = [{"add": {"index": m.index, "alias": f"{index_name}-write"}} for m in (old, new)]
        before = len(loads.threads)
        engine.update_aliases(both)
        if not is_kept:
            until(lambda: len(loads.threads) >= before + 2, what="both clients load the next model")
        traffic.goes_on()  # while it is being loaded
        loads.gate.set()
        said = f"loaded the model of index {new.index!r} ahead"
        if not is_kept:
            until(lambda: sum(said in line for line in caplog.messages) >= 2, what="both have it")
        of_loaders = loads.threads[before:]
        assert bool(of_loaders) is not is_kept
        assert all(name.startswith("vidsearch-model") for name in of_loaders), of_loaders
        swap = [
            {"remove": {"index": old.index, "alias": index_name}},
            {"add": {"index": new.index, "alias": index_name}},
        ]
        at = len(traffic.done)
        engine.update_aliases(swap)
        traffic.goes_on(10)
        assert loads.threads[before:] == of_loaders, "nothing was loaded at the swap"
        slowest = max(seconds for _, seconds, _ in traffic.done[at:])
        _log.info("longest search at the swap to %s: %.3f s", new.index, slowest)
        engine.update_aliases(
            [{"remove": {"index": m.index, "alias": f"{index_name}-write"}} for m in (old, new)]
        )

    async def search() -> None:
        async with AsyncVideoSearch.from_settings(settings) as client:
            await client.search("a red circle")
            await client.search(image=_picture()[0])
            tasks = [asyncio.create_task(traffic.task(number, client)) for number in range(4)]
            await asyncio.to_thread(changes)
            await asyncio.gather(*tasks)

    def changes() -> None:
        try:
            until(lambda: len(traffic.per_client) == 5, what="all clients search")
            for old, new in itertools.pairwise(models):
                change(old, new, is_kept=False)
            change(models[2], models[1], is_kept=True)  # as a rollback does
        finally:
            loads.gate.set()
            traffic.over.set()

    with VideoSearch.from_settings(settings) as client:
        client.search("a red circle")
        client.search(image=_picture()[0])
        thread = threading.Thread(target=traffic.thread, args=(client,))
        thread.start()
        asyncio.run(search())
        thread.join(60)
    traffic.check()
    assert {result.index for _, _, result in traffic.done} == {model.index for model in models}
    assert min(traffic.per_client.values()) >= 30
