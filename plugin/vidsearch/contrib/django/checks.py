"""What ``manage.py check`` says of a model, before a row is saved."""

from __future__ import annotations

from typing import Any

from django.core.checks import Error, Warning

__all__ = ["wrong_manager", "wrong_names"]


def wrong_names(model: Any, base: Any) -> list[Error]:
    """An error for each column that a model of videos names, and lacks.

    Args:
        model: the model.
        base: the class whose methods use the names, unless the model has methods of its own.
    """
    errors = []
    if model.vidsearch_uri is base.vidsearch_uri and not hasattr(model, model.vidsearch_source):
        errors.append(
            Error(
                f"vidsearch_source is {model.vidsearch_source!r}, but there is no such column.",
                hint="Name the one that holds the file or its URI, or override vidsearch_uri().",
                obj=model,
                id="vidsearch.E001",
            )
        )
    if model.vidsearch_document is base.vidsearch_document:
        absent = [name for name in model.vidsearch_fields if not hasattr(model, name)]
        errors += [
            Error(
                f"vidsearch_fields holds {name!r}, but there is no such column or attribute.",
                hint="Correct the name, or override vidsearch_document().",
                obj=model,
                id="vidsearch.E002",
            )
            for name in absent
        ]
    return errors


def wrong_manager(model: Any, queryset: Any) -> list[Warning]:
    """A warning where the default manager of a model does not register what is written in bulk.

    Args:
        model: the model.
        queryset: the class that registers it.
    """
    manager = model._default_manager
    if manager is None:
        return []
    try:
        if isinstance(manager.get_queryset(), queryset):
            return []
    except Exception:  # it needs a request, or a tenant, which a check has not
        return []
    return [
        Warning(
            f"the default manager {manager.name!r} has no search(), and videos that it writes with "
            "bulk_create(), bulk_update() or update() are not registered.",
            hint="Let its queryset derive from VideoQuerySet, or make a manager of that: "
            "models.Manager.from_queryset(VideoQuerySet).",
            obj=model,
            id="vidsearch.W001",
        )
    ]
