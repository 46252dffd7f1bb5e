"""A Celery app that leaves to Celery what it need not set."""

from __future__ import annotations

from celery import Celery
from tests.integration.fake_app import SwitchedEncoder, settings

from vidsearch_tasks import configure

app = Celery(
    "application", broker=settings.broker.url.get_secret_value(), include=["vidsearch_tasks.tasks"]
)
app.conf.worker_prefetch_multiplier = 1
app.conf.broker_connection_retry_on_startup = True
app.conf.broker_connection_max_retries = 1  # by default 100, for which no test waits
configure(settings, encoder=SwitchedEncoder(), app=app)
