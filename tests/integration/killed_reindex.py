"""A process that reindexes, and kills itself: ``python -m tests.integration.killed_reindex WHEN``.

``WHEN`` is ``begun:STEP``, as soon as the record says that step, or ``undone:STEP``, when all that
it needs is done, but the record does not say so yet. The settings come from the environment.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from vidsearch.config import load_settings
from vidsearch.reindex import Changes, ReindexRun
from vidsearch.reindex.run_store import RunStore
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import Services, reindexer

LEASE = 1.0


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
