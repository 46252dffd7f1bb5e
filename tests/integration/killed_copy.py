"""A process that copies an index as ``index attach`` does, and kills itself:
``python -m tests.integration.killed_copy URL KIND ALIAS WHEN``. ``WHEN`` is one of :data:`MOMENTS`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.copies import copy_of

from vidsearch.config import EngineSettings, IndexSettings
from vidsearch.engines import Engine, connect
from vidsearch.index import attach_index, catch_up
from vidsearch.index import copy as copying
from vidsearch.index.catch_up import CatchUp
from vidsearch.index.copy_note import undo_broken_copy
from vidsearch.index.swap import Swap
from vidsearch.testing.fake_encoder import FakeEncoder

__all__ = [
    "COPIED",
    "COPYING",
    "CREATED",
    "MOVED",
    "MOVING",
    "STOPPED",
    "acting",
    "attach",
    "killed",
]

CREATED, COPYING, COPIED = "created", "copying", "copied"
STOPPED, MOVING, MOVED = "stopped", "moving", "moved"
"""Writes are refused, and the rest is about to be brought; the aliases are about to move; they have
moved."""
_ROOT = Path(__file__).resolve().parents[2]


def attach(engine: Engine, alias: str, **options: Any) -> str:
    """Attach to the index behind an alias by a copy, also where one broke off; the copy's name.

    OpenSearch needs that for an index without ``index.knn``. Elasticsearch attaches in place, so
    the copy alone is made there.
    """
    if engine.kind == "opensearch":
        settings = IndexSettings(name=alias, replicas=0)
        identity = FakeEncoder().identity
        return attach_index(engine, settings, identity, uri_field="url", **options).index
    (old,) = engine.indices_of(alias)
    undo_broken_copy(engine, old)
    mapping = engine.mapping(old)
    with_object = {**mapping, "_meta": {**(mapping.get("_meta") or {}), "vidsearch": {}}}
    copy, _ = copy_of(engine, old, alias=alias, settings={}, mapping=with_object, **options)
    return copy


@contextmanager
def acting(when: str, act: Callable[[], object]) -> Iterator[None]:
    """In this block something is done at that moment of a copy, the first time that it comes."""
    acts = iter([act])

    def once() -> None:
        for one in acts:
            one()

    def acting_at(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **options: Any) -> Any:
            if name == COPYING:
                options["progress"] = lambda done, total: once()
            elif name != MOVED:
                once()
            made = call(*args, **options)
            if name == MOVED:
                once()
            return made

        return watched

    owner, name = {
        CREATED: (copying, "copy_documents"),
        COPYING: (copying, "copy_documents"),
        COPIED: (Swap, "carry_out"),
        STOPPED: (CatchUp, "_refresh_last"),
        MOVING: (Swap, "_move"),
        MOVED: (Swap, "_move"),
    }[when]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, acting_at(when, getattr(owner, name)))
        yield


def killed(engine: EngineSettings, alias: str, when: str) -> None:
    """Have a process attach to the index behind an alias that is killed at that moment."""
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    module = [sys.executable, "-m", "tests.integration.killed_copy"]
    process = subprocess.run(
        [*module, engine.url, engine.kind, alias, when],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        timeout=200,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()


def main(url: str, kind: Any, alias: str, when: str) -> None:
    catch_up._CALM_SECONDS = 0.5
    engine = connect(EngineSettings(url=url, kind=kind))
    with acting(when, lambda: os.kill(os.getpid(), signal.SIGKILL)):
        attach(engine, alias)


if __name__ == "__main__":
    main(*sys.argv[1:])
