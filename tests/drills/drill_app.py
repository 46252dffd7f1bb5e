"""The Celery app of a drill's workers: the fake encoder, slowed down, and at work where it can be
seen.

``TEST_PACE`` is the number of seconds that each batch takes. Every call leaves a file
``busy-<pid>`` in the folder that ``TEST_SWITCHES`` names. A frame of the deadly colour kills the
process that embeds it. A decoding process crashes where the name of a file says so.
"""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

from tests.drills.clips import is_deadly
from tests.misbehaving_child import COMMAND

import vidsearch.media.isolation.isolated_reader as isolation
from vidsearch.config import load_settings
from vidsearch.encoders import Vectors
from vidsearch.media import FrameBatch
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import configure, make_app


class DrillEncoder(FakeEncoder):
    """The fake encoder at the pace of a real one."""

    def encode_frames(self, frames: FrameBatch) -> Vectors:
        (Path(os.environ["TEST_SWITCHES"]) / f"busy-{os.getpid()}").touch()
        time.sleep(float(os.environ["TEST_PACE"]))
        if any(is_deadly(frame) for frame in frames.data):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode_frames(frames)


vars(isolation)["IsolatedReader"] = partial(isolation.IsolatedReader, _command=COMMAND)
settings = load_settings()
app = make_app(settings)
configure(settings, encoder=DrillEncoder(), app=app)
