"""Testers of one session share nodes, and those that change all of a node run alone."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import AuthenticationError
from pathlib import Path
from socket import AF_UNIX, socket
from threading import Event

import pytest
from tests.services import RunningServices
from tests.shared_nodes import NodeHost, ask_for_node, turn
from tests.waiting import until

from vidsearch.errors import LocalError
from vidsearch.local import SearchNode
from vidsearch.local.folders import Folder
from vidsearch.local.process import Process

NAME = "es-9.5.3"


def _node(url: str) -> SearchNode:
    folder, process = Folder(Path("/nowhere"), temporary=False), Process(2**22, "never")
    return SearchNode(url, folder, process, "elasticsearch", "9.5.3")


@contextmanager
def _host(*answers: SearchNode | Exception) -> Iterator[tuple[NodeHost, list[str]]]:
    started: list[str] = []

    def start(name: str) -> SearchNode:
        answer = answers[len(started)]
        started.append(name)
        time.sleep(0.05)  # so that others ask meanwhile
        if isinstance(answer, Exception):
            raise answer
        return answer

    host = NodeHost(start, names=[NAME, "other"])
    try:
        yield host, started
    finally:
        host.stop()


def test_a_node_is_started_once_for_all_who_ask() -> None:
    with _host(_node("http://a"), _node("http://b")) as (host, started):
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: ask_for_node(host.address, NAME), range(8)))
        assert {node.url for node in found} == {"http://a"}
        assert ask_for_node(host.address, "other").url == "http://b"
        assert started == [NAME, "other"]


def test_a_node_that_cannot_be_had_is_tried_once_and_its_reason_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CI", "true")
    with _host(LocalError("there is no Java")) as (host, started):
        for _ in range(2):
            with pytest.raises(LocalError, match="there is no Java"):
                ask_for_node(host.address, NAME)
            with pytest.raises(pytest.fail.Exception, match="not available: there is no Java"):
                RunningServices(host=host.address).node(NAME)
        assert started == [NAME]


def test_another_error_is_told_and_does_not_end_the_host() -> None:
    with _host(ZeroDivisionError(), _node("http://a")) as (host, _):
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            ask_for_node(host.address, NAME)
        assert ask_for_node(host.address, NAME).url == "http://a"


def test_only_those_with_the_key_are_answered() -> None:
    with _host(_node("http://a")) as (host, started):
        folder, _ = host.address
        with pytest.raises(AuthenticationError):
            ask_for_node((folder, "00" * 16), NAME)
        assert started == []
        assert ask_for_node(host.address, NAME).url == "http://a"


def test_who_goes_away_while_asking_does_not_end_the_host() -> None:
    with _host(_node("http://a")) as (host, _):
        folder, _ = host.address
        for sent in (b"", b"\0\0\0\4what"):
            with socket(AF_UNIX) as asking:
                asking.connect(f"{folder}/socket")
                asking.sendall(sent)
        assert ask_for_node(host.address, NAME).url == "http://a"


def test_who_was_killed_alone_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "alone").touch()
    with pytest.raises(RuntimeError, match="killed"), turn(tmp_path, alone=False):
        pass


def test_waiting_for_others_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.shared_nodes._TURN_SECONDS", 0.1)
    held = pytest.raises(TimeoutError, match=r"running\.lock")
    with turn(tmp_path, alone=True), held, turn(tmp_path, alone=False):
        pass
    with turn(tmp_path, alone=False):
        assert not (tmp_path / "alone").exists()


def test_the_host_stops_nodes_and_testers_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[str] = []
    monkeypatch.setattr(SearchNode, "stop", lambda node: stopped.append(node.url))
    with _host(_node("http://a")) as (host, _):
        running = RunningServices(host=host.address)
        running.node(NAME)
        running.stop()
        assert stopped == []
        folder, _ = host.address
    assert stopped == ["http://a"]
    assert not Path(folder).exists()


def _until_queued(folder: Path) -> None:
    """Wait until somebody waits for all others, and holds up those that come later."""

    def is_held() -> bool:
        with (folder / "queue.lock").open("a") as queue:
            try:
                fcntl.flock(queue, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    until(is_held, what="one waits for all others")


def test_who_is_alone_waits_for_all_others_and_those_that_come_later_wait_for_it(
    tmp_path: Path,
) -> None:
    order: list[str] = []
    inside, leave = Event(), Event()

    def take(name: str, *, alone: bool = False) -> None:
        with turn(tmp_path, alone=alone):
            order.append(name)

    def stay() -> None:
        with turn(tmp_path, alone=False):
            inside.set()
            leave.wait(30)
            order.append("first")

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(stay)
        assert inside.wait(30)
        pool.submit(take, "beside it").result(30)  # several at once
        alone = pool.submit(take, "alone", alone=True)
        _until_queued(tmp_path)
        last = pool.submit(take, "last")
        time.sleep(0.05)
        assert order == ["beside it"]
        leave.set()
        for one in (first, alone, last):
            one.result(30)
    assert order == ["beside it", "first", "alone", "last"]
