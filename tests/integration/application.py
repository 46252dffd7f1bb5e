"""The Celery app of an application: its own broker settings and client, and the tasks."""

from __future__ import annotations

from celery import Celery
from elasticsearch import Elasticsearch

from vidsearch.config import load_settings
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import beat_schedule, configure

settings = load_settings()
app = Celery(
    "application", broker=settings.broker.url.get_secret_value(), include=["vidsearch_tasks.tasks"]
)
app.conf.task_default_queue = "the-applications-own"
app.conf.broker_connection_retry_on_startup = True
app.conf.beat_schedule = beat_schedule(settings)
configure(settings, client=Elasticsearch(settings.engine.url), encoder=FakeEncoder(), app=app)


@app.task(name="application.hello")  # type: ignore[untyped-decorator]
def hello() -> str:
    """A task of the application's own."""
    return "hello"
