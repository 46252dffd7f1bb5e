"""Settings of a small site with films. What differs by machine comes from the environment."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(os.environ.get("FILMSITE_DATA", BASE_DIR))  # the database and uploaded files

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "vidsearch.contrib.django",
    "films",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "filmsite.urls"
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATA_DIR / "films.sqlite3"}
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
MEDIA_ROOT = DATA_DIR / "media"
STATIC_URL = "static/"
USE_TZ = True
DEBUG = True
SECRET_KEY = os.environ.get("FILMSITE_SECRET_KEY", "for trying out only")

# Names and values are those of docs/settings.md. What is not here is read from the environment,
# such as VIDSEARCH_ENGINE__URL and its credentials.
VIDSEARCH = {
    "celery_app": "filmsite.celery:app",
    "sources": {"roots": [str(MEDIA_ROOT)]},  # workers read nothing else
}

CELERY_BROKER_URL = os.environ.get("VIDSEARCH_BROKER__URL", "redis://localhost:6379/0")
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 15_000}  # above ingest.time_limit
CELERY_WORKER_PREFETCH_MULTIPLIER = 1  # a busy worker leaves messages to others
CELERY_WORKER_DISABLE_PREFETCH = True  # of Celery 5.6, with Redis only
