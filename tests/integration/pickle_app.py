"""A Celery app of an application that sends pickle, and leaves to Celery what it has not set."""

from __future__ import annotations

from celery import Celery

from vidsearch.config import load_settings
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import configure

settings = load_settings()
app = Celery(
    "application", broker=settings.broker.url.get_secret_value(), include=["vidsearch_tasks.tasks"]
)
app.conf.task_serializer = "pickle"
app.conf.accept_content = ["pickle", "json"]
configure(settings, encoder=FakeEncoder(), app=app)
