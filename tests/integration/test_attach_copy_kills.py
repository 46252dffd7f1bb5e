"""The copy of `index attach` is killed, or its node is, while an application goes on writing: no
document is lost, none is there twice, and writes are allowed again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.integration.killed_copy import (
    COPIED,
    COPYING,
    CREATED,
    MOVED,
    MOVING,
    STOPPED,
    acting,
    attach,
    killed,
)
from tests.integration.stage import Node
from tests.integration.writing_application import Application, body
from tests.killable import KillableNode, killable
from tests.services import WHOLE_WAYS, RunningServices

from vidsearch.config import EngineSettings
from vidsearch.engines import Engine, connect
from vidsearch.errors import BackendUnavailableError
from vidsearch.index.copy_note import is_blocked, note_of, undo_broken_copy
from vidsearch.local import SearchNode

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

_DRILL = pytest.mark.drill


class Shop:
    """An index of an application that writes to it through its alias."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine, self.name = engine, name
        self.old, self.copy = f"{name}-1", f"{name}-1-vidsearch"
        engine.create_index(self.old, body(alias=name))
        self.application = Application(engine, name)
        self.application.fill(self.old)

    @property
    def takes_writes(self) -> bool:
        """Whether the old index does."""
        return not is_blocked(self.engine.settings(self.old))

    def check(self, index: str) -> None:
        """That index is used, with each document once, as it was written last."""
        assert self.engine.indices_of(self.name) == (index,)
        self.application.check(index)
        assert self.engine.count(index) == len(self.application.expected)
        assert self.takes_writes is (index == self.old)


@contextmanager
def shop_on(node: Node, name: str) -> Iterator[Shop]:
    engine = connect(EngineSettings(url=node.url, kind=node.kind))
    yield Shop(engine, name)
    engine.close()


@pytest.mark.one_node("es-9.5.3")  # what is sent in a copy is on all in test_attach_copy_engines.py
@pytest.mark.parametrize(
    ("end", "when"),
    [
        ("again", STOPPED),
        ("undone", MOVING),
        *(pytest.param("again", when, marks=_DRILL) for when in (CREATED, COPYING, COPIED, MOVING)),
        *(pytest.param("undone", when, marks=_DRILL) for when in (CREATED, COPYING, COPIED)),
        pytest.param("undone", STOPPED, marks=_DRILL),
    ],
)
def test_an_attach_that_is_killed_is_made_anew_or_undone(
    search_node: SearchNode, index_name: str, end: str, when: str
) -> None:
    with shop_on(search_node, index_name) as shop:
        with shop.application.running():
            killed(EngineSettings(url=search_node.url, kind=search_node.kind), index_name, when)
            assert shop.engine.indices_of(index_name) == (shop.old,)
            assert shop.takes_writes is (when not in {STOPPED, MOVING})
            if end == "again":
                assert attach(shop.engine, index_name) == shop.copy
            else:
                assert undo_broken_copy(shop.engine, shop.old) == shop.copy
            shop.application.goes_on()
        shop.check(shop.copy if end == "again" else shop.old)
        if end == "undone":
            assert shop.engine.indices_of(shop.copy) == ()
            assert note_of(shop.engine.mapping(shop.old)) is None


@pytest.mark.one_node("es-9.5.3")
def test_an_attach_that_is_killed_when_the_aliases_have_moved_has_lost_nothing(
    search_node: SearchNode, index_name: str
) -> None:
    with shop_on(search_node, index_name) as shop:
        with shop.application.running():
            killed(EngineSettings(url=search_node.url, kind=search_node.kind), index_name, MOVED)
            shop.application.goes_on()
        shop.check(shop.copy)


@pytest.fixture(scope="module", params=[WHOLE_WAYS[0], pytest.param(WHOLE_WAYS[1], marks=_DRILL)])
def node(
    request: pytest.FixtureRequest,
    services: RunningServices,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[KillableNode]:
    yield from killable(services, tmp_path_factory.mktemp("node"), request.param)


@pytest.mark.parametrize(
    "when",
    [pytest.param(COPYING, marks=_DRILL), STOPPED, pytest.param(MOVING, marks=_DRILL)],
)
def test_an_attach_whose_node_is_killed_and_comes_back_goes_on(
    node: KillableNode, index_name: str, when: str
) -> None:
    starting = threading.Thread(target=node.start)

    def restart() -> None:
        node.kill()
        starting.start()

    with shop_on(node, index_name) as shop:
        with shop.application.running(), acting(when, restart):
            assert attach(shop.engine, index_name) == shop.copy
            starting.join()
            shop.application.goes_on()
        assert shop.application.outages, "the application has noticed"
        shop.check(shop.copy)


@pytest.mark.parametrize("node", WHOLE_WAYS[:1], indirect=True)  # nothing of it is the engine's
def test_an_attach_that_has_given_up_on_its_node_says_so_and_is_made_anew(
    node: KillableNode, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidsearch.index.swap._UNDO_SECONDS", 1.0)
    with shop_on(node, index_name) as shop:
        with shop.application.running():
            with (
                acting(STOPPED, node.kill),
                pytest.raises(BackendUnavailableError, match="may take no writes until"),
            ):
                attach(shop.engine, index_name, outage_seconds=0.0)
            node.start()
            assert not shop.takes_writes
            assert attach(shop.engine, index_name) == shop.copy
            shop.application.goes_on()
        shop.check(shop.copy)
