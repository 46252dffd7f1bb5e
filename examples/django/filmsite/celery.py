"""The Celery app: ``celery -A filmsite worker -Q celery,vidsearch``."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "filmsite.settings")
app = Celery("filmsite", include=["vidsearch_tasks.tasks"])
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
