"""The fake app, whose pool's processes are started afresh, as Celery does on macOS."""

from __future__ import annotations

import os
import time

from tests.integration.fake_app import app

if os.environ.get("_VIDSEARCH_WORKER"):  # one of the pool's processes
    time.sleep(5)  # as on a busy machine: longer than Celery would wait
app.conf.worker_pool_start_method = "spawn"  # of Celery 5.7
