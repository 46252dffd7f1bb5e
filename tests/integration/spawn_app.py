"""The fake app, whose pool's processes are started afresh, as Celery does on macOS."""

from __future__ import annotations

from tests.integration.fake_app import app

app.conf.worker_pool_start_method = "spawn"  # of Celery 5.7
