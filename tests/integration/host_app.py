"""The Celery app of a host: its own broker settings, its own client, and our tasks."""

from __future__ import annotations

from celery import Celery
from elasticsearch import Elasticsearch

from vidsearch.config import load_settings
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import beat_schedule, configure

settings = load_settings()
app = Celery(
    "host", broker=settings.broker.url.get_secret_value(), include=["vidsearch_tasks.tasks"]
)
app.conf.task_default_queue = "the-hosts-own"
app.conf.broker_connection_retry_on_startup = True
app.conf.beat_schedule = beat_schedule(settings)
configure(settings, client=Elasticsearch(settings.engine.url), encoder=FakeEncoder(), app=app)


@app.task(name="host.hello")  # type: ignore[untyped-decorator]
def hello() -> str:
    """A task of the host's own."""
    return "hello"
