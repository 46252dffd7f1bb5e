"""A Celery app whose application has set about all that can be set, for its own tasks."""

from __future__ import annotations

from celery import Celery
from kombu import Queue

from vidsearch.config import load_settings
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import configure

settings = load_settings()
app = Celery(
    "application", broker=settings.broker.url.get_secret_value(), include=["vidsearch_tasks.tasks"]
)
app.conf.update(
    task_serializer="pickle",
    accept_content=["pickle", "json"],
    task_compression="gzip",
    task_ignore_result=False,
    task_default_queue="shop",
    task_queues=[Queue("shop"), Queue(settings.broker.queue)],
    task_create_missing_queues=False,
    task_routes={"*": {"exchange": "shop", "routing_key": "orders"}},
    task_time_limit=1,
    task_annotations={"*": {"expires": 1, "rate_limit": "1/h"}},
    task_default_rate_limit="1/h",
    worker_prefetch_multiplier=1,
    worker_max_tasks_per_child=1,
    worker_max_memory_per_child=1,  # KiB: each process is replaced for this as well
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": 4 * 3600},
)
configure(settings, encoder=FakeEncoder(), app=app)
