"""Celery."""
