"""The Celery app of a worker whose encoder costs nothing, for :mod:`benchmarks.ingestion`."""

from __future__ import annotations

from vidsearch.config import load_settings
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import configure, make_app

settings = load_settings()
app = make_app(settings)
configure(settings, encoder=FakeEncoder(), app=app)
