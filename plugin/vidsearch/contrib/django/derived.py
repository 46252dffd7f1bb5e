"""Models that derive from each other with tables of their own (multi-table inheritance).

A row of a derived model is a row of its parents as well. Its video is that of the most derived
model, and the only one: the parents' rows of the same key have none. A row of two models of which
neither derives from the other has a video of each. Where a derived model has a
primary key of its own, its rows and those of that parent have videos apart from each other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

__all__ = [
    "depends_on",
    "derived_models",
    "family_of",
    "is_file_of_video",
    "kinds_of",
    "models_of",
    "video_ids",
]


def derived_models(model: Any) -> list[Any]:
    """The models whose rows are rows of this one with the same key, the least derived first."""
    concrete = model._meta.concrete_model
    found = [
        each
        for each in model._meta.apps.get_models()
        if issubclass(each, concrete) and each is not concrete and not each._meta.proxy
    ]
    same = [each for each in found if _has_key_of(each, concrete)]
    return sorted(same, key=lambda each: len(each.__mro__))


def family_of(model: Any) -> list[Any]:
    """The models whose rows have one key, this one among them, the least derived
    first."""
    root = model._meta.concrete_model
    while (link := root._meta.pk.remote_field) and link.parent_link and _has_videos(link.model):
        root = link.model
    own = model._meta.concrete_model  # of which the model may be a proxy
    return [model if each is own else each for each in (root, *derived_models(root))]


def _has_videos(model: Any) -> bool:
    # By attribute: the module of VideoModel imports this one.
    return hasattr(model, "vidsearch_id_of")


def _has_key_of(model: Any, parent: Any) -> bool:
    key = model._meta.pk
    while key is not parent._meta.pk:
        if not (key.remote_field and key.remote_field.parent_link):
            return False
        key = key.target_field
    return True


def depends_on(model: Any, columns: Collection[str] | None) -> bool:
    """Whether the video of some row depends on one of some columns; ``None`` are all."""
    return any(each.vidsearch_depends_on(columns) for each in (model, *derived_models(model)))


def is_file_of_video(model: Any, columns: Collection[str]) -> bool:
    """Whether one of some columns of files may hold the video of some row."""
    models = (model, *derived_models(model))
    return any(not each.vidsearch_file_columns().isdisjoint(columns) for each in models)


def kinds_of(model: Any, pks: Iterable[Any], *, using: str) -> dict[Any, list[Any]]:
    """By primary key the models that its videos are of: the most derived ones that have such a row,
    and the least derived one where none has.

    Asks the database only where models derive from each other.

    Args:
        model: a :class:`~vidsearch.contrib.django.models.VideoModel`.
        pks: those of a batch; there need not be rows of them.
        using: alias of the database.
    """
    root, *derived = family_of(model)
    found = {pk: [root] for pk in pks}
    to_python = model._meta.pk.to_python
    given = {to_python(pk): pk for pk in found}
    for each in derived:
        rows = each._base_manager.using(using).filter(pk__in=list(given))
        for pk in rows.values_list("pk", flat=True):
            kinds = found[given[to_python(pk)]]
            kinds[:] = [one for one in kinds if not issubclass(each, one._meta.concrete_model)]
            kinds.append(each)
    return found


def models_of(model: Any, pks: Iterable[Any], *, using: str) -> dict[Any, Any]:
    """As :func:`kinds_of`, one for each key: this model where it is among them."""
    found = kinds_of(model, pks, using=using)
    return {pk: model if model in kinds else kinds[-1] for pk, kinds in found.items()}


def video_ids(model: Any, pks: Iterable[Any], *, using: str) -> dict[Any, str]:
    """By primary key the id of its video, as :func:`models_of` has it."""
    found = models_of(model, pks, using=using)
    return {pk: each.vidsearch_id_of(pk) for pk, each in found.items()}
