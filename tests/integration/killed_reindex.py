"""A process that reindexes, and kills itself: ``python -m tests.integration.killed_reindex WHEN``.

``WHEN`` is ``begun:STEP``, as soon as the record says that step, or ``undone:STEP``, when all that
it needs is done, but the record does not say so yet. ``undone:moved``: writes to an attached index
are refused, and the alias is about to move. The settings come from the environment.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from vidsearch.config import load_settings
from vidsearch.reindex import Changes, ReindexRun
from vidsearch.reindex.run_store import RunStore
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import Services, reindexer

LEASE = 1.0
_ROOT = Path(__file__).resolve().parents[2]


def killed(services: Services, when: str) -> ReindexRun:
    """The record of the run, after a process with these settings was killed at that moment."""
    settings = services.settings
    env = {
        "VIDSEARCH_ENGINE__URL": settings.engine.url,
        "VIDSEARCH_ENGINE__KIND": settings.engine.kind,
        "VIDSEARCH_INDEX__NAME": settings.index.name,
        "VIDSEARCH_INDEX__REPLICAS": "0",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")])),
    }
    command = [sys.executable, "-m", "tests.integration.killed_reindex", when]
    ended = subprocess.run(
        command, env={**os.environ, **env}, capture_output=True, timeout=60, check=False
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    return reindexer(services).runs.all()[0]


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(when: str) -> None:
    moment, _, step = when.partition(":")

    def begun(run: ReindexRun) -> None:
        if (moment, str(run.step)) == ("begun", step):
            kill()

    change = RunStore.change

    def undone(self: RunStore, id: str, *, held_by: str, **values: Any) -> ReindexRun:
        if (moment, str(values.get("step"))) == ("undone", step):
            kill()
        if when == "undone:moved" and "target" in values.get("marks", {}):
            kill()
        return change(self, id, held_by=held_by, **values)

    RunStore.change = undone  # type: ignore[method-assign]
    with Services(load_settings(), encoder=FakeEncoder()) as services:
        made = reindexer(services, lease_seconds=LEASE, on_step=begun)
        if step.startswith("roll"):
            made.roll_back()
        else:
            made.start(Changes(quantization="flat"), keep_old=step != "done")


if __name__ == "__main__":
    main(sys.argv[1])
