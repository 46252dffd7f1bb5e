"""The Celery app of a worker whose encoder costs nothing, for :mod:`benchmarks.ingestion`."""

from __future__ import annotations

from vidsearch.config import load_settings
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import configure

# Not handed in, as that of `-A vidsearch_tasks` is not: the client's line per request stays out of
# the log.
app = configure(load_settings(), encoder=FakeEncoder()).app
