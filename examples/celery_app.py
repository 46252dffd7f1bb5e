"""Run the ingestion in a Celery app of your own, on a search client of your own."""

from celery import Celery
from elasticsearch import Elasticsearch

from vidsearch import load_settings
from vidsearch_tasks import beat_schedule, configure

settings = load_settings()
app = Celery(
    "yours",
    broker=settings.broker.url.get_secret_value(),
    include=["vidsearch_tasks.tasks"],
)
app.conf.broker_transport_options = {"visibility_timeout": settings.visibility_timeout}
app.conf.worker_prefetch_multiplier = 1  # a busy worker leaves messages to others
app.conf.beat_schedule = {**beat_schedule(settings)}  # beside your own entries
# Your own client, with its own credentials; without `client=` one is made from the settings.
configure(settings, client=Elasticsearch(settings.engine.url), app=app)
