"""``sources.per_host``: how many videos of one host are fetched at once."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.http_stub import Asked, Reply, http_stub
from tests.waiting import until

from vidsearch.config import SourceSettings
from vidsearch.errors import SourceUnavailableError
from vidsearch.media import fetch
from vidsearch.media.sources.host_slots import host_slot

pytest.importorskip("httpcore")


class Server:
    """Holds every download until there are ``wanted`` at once, and a moment for more to come."""

    def __init__(self, wanted: int) -> None:
        self.running = self.most = 0
        self._wanted = wanted
        self._lock = threading.Lock()

    def __call__(self, asked: Asked) -> Reply:
        return Reply(pieces=self._slowly())

    def _slowly(self) -> Iterator[bytes]:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        until(lambda: self.most >= self._wanted, what="so many at once", seconds=20)
        time.sleep(0.2)
        with self._lock:
            self.running -= 1
        yield b"x" * 100


@pytest.mark.parametrize("limit", [1, 2, 0])
def test_no_more_than_the_limit_are_fetched_from_a_host(limit: int, tmp_path: Path) -> None:
    server = Server(limit or 3)
    with http_stub(server) as stub, ThreadPoolExecutor(4) as threads:
        settings = SourceSettings(private_hosts=("127.0.0.1",), per_host=limit, folder=tmp_path)

        def size(n: int) -> int:
            with fetch(f"{stub.url}/{n}.mp4", settings=settings) as file:
                return file.size

        assert list(threads.map(size, range(4))) == [100] * 4
    assert server.most == limit if limit else server.most > 2


def test_slot_of_a_killed_process_is_free_and_other_hosts_do_not_wait(tmp_path: Path) -> None:
    settings = SourceSettings(per_host=1, folder=tmp_path)
    code = (
        "import sys, time\n"
        "from vidsearch.config import SourceSettings\n"
        "from vidsearch.media.sources.host_slots import host_slot\n"
        "with host_slot('http://a/1', SourceSettings(per_host=1, folder=sys.argv[1])):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with host_slot("s3://b/1", settings):
            pass
        waiting = threading.Timer(0.5, holder.kill)
        begun = time.monotonic()
        waiting.start()
        with host_slot("http://A:8080/2", settings):
            assert time.monotonic() - begun > 0.4


def test_place_without_room_for_locks_is_an_outage(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = SourceSettings(per_host=1, folder=tmp_path / "file")
    with (
        pytest.raises(SourceUnavailableError, match=r"no locks can be made for sources\.per_host"),
        host_slot("http://a/1", settings),
    ):
        pass
