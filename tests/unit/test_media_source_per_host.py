"""``sources.per_host``: how many videos of one host are fetched at once."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.http_stub import Asked, Reply, http_stub
from tests.waiting import until

from vidsearch.config import SourceSettings
from vidsearch.errors import SourceUnavailableError, TemporaryFolderError
from vidsearch.media import fetch
from vidsearch.media.sources import fetching, host_slots
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
        "with host_slot('a', SourceSettings(per_host=1, folder=sys.argv[1]), where='it'):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with host_slot("b", settings, where="it"):
            pass
        waiting = threading.Timer(0.5, holder.kill)
        begun = time.monotonic()
        waiting.start()
        with host_slot("a", settings, where="it"):
            assert time.monotonic() - begun > 0.4


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://a.example/1.mp4", "https://user:pass@A.example.:8080/2.mp4?x"),
        ("http://[::1]/1.mp4", "http://[0:0::1]:81/2.mp4"),
        ("s3://bucket/1.mp4", "s3://bucket/folder/2.mp4"),
    ],
)
def test_hosts_are_told_by_their_name_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one: str, other: str
) -> None:
    asked: list[str] = []

    @contextmanager
    def slot(host: str, settings: SourceSettings, *, where: str) -> Iterator[None]:
        asked.append(host)
        raise TemporaryFolderError(where)
        yield

    monkeypatch.setattr(fetching, "host_slot", slot)
    for uri in (one, other):
        with (
            pytest.raises(TemporaryFolderError),
            fetch(uri, settings=SourceSettings(per_host=1, folder=tmp_path)),
        ):
            pass
    assert len(set(asked)) == 1


@pytest.mark.parametrize("read", ["https://cdn.example/t0ken/a.mp4?sig=1", "s3://bucket/t0ken.mp4"])
def test_place_without_room_for_locks_is_an_outage_of_the_uri_as_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    def no_room(folder: Path | None, name: str) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(host_slots, "locks_folder", no_room)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "resolver_without_room.py").write_text(f"def resolve(uri):\n    return {read!r}\n")
    settings = SourceSettings(per_host=1, folder=tmp_path, resolver="resolver_without_room:resolve")
    with pytest.raises(SourceUnavailableError) as caught, fetch("asset:1", settings=settings):
        pass
    assert str(caught.value).startswith(
        "asset:1 cannot be fetched: no locks can be made for sources.per_host"
    )
    assert "t0ken" not in "".join(traceback.format_exception(caught.value))
