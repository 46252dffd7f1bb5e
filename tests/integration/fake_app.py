"""A Celery app as an application would make it: the tasks, and an encoder handed in.

``TEST_CLOCK_SKEW`` sets the clock of the process wrong by so many seconds, as vidsearch reads it.
What the encoder does is told by files in the folder that ``TEST_SWITCHES`` names: ``slow`` makes it
pause before each batch, ``held`` makes it wait until that file is gone, ``deadly`` makes it kill
its own process.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from vidsearch.config import load_settings
from vidsearch.encoders import Vectors
from vidsearch.media import FrameBatch
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import configure, make_app


class SwitchedEncoder(FakeEncoder):
    """The fake encoder with misfortunes."""

    def encode_frames(self, frames: FrameBatch) -> Vectors:
        switches = Path(os.environ["TEST_SWITCHES"])
        if (switches / "deadly").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        if (switches / "slow").exists():
            (switches / "at-work").touch()
            time.sleep(0.5)
        while (switches / "held").exists():
            time.sleep(0.05)
        return super().encode_frames(frames)


_clock, _skew = time.time, float(os.environ.get("TEST_CLOCK_SKEW", 0))
if _skew:
    time.time = lambda: _clock() + _skew
    from vidsearch.registry import engine_clock, registry  # noqa: F401  (their default clocks)

    time.time = _clock

settings = load_settings()
app = make_app(settings)
configure(settings, encoder=SwitchedEncoder(), app=app)
