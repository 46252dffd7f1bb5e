"""The index of the registry: made behind its name as an alias, and dropped.

Behind an alias, so that no write to it can make a new index, without asking for it each time; see
:mod:`vidsearch.engines.calls`.
"""

from __future__ import annotations

from vidsearch.config import IndexSettings
from vidsearch.engines.base import Engine
from vidsearch_mappings import registry_index

__all__ = ["create_registry_index", "drop_registry_index"]


def create_registry_index(engine: Engine, settings: IndexSettings) -> None:
    """Create ``<registry>-000001`` with the alias ``<registry>``, in one request.

    Raises:
        MappingConflictError: it exists already.
    """
    body = registry_index(engine.kind, shards=settings.shards, replicas=settings.replicas)
    engine.create_index(_concrete(settings), {**body, "aliases": {settings.registry: {}}})


def drop_registry_index(engine: Engine, settings: IndexSettings) -> None:
    """Drop it, where it is there; an index that is not ours, but has its name, is left alone."""
    for name in engine.indices_of(settings.registry):
        if name in {settings.registry, _concrete(settings)}:  # once it had no alias
            engine.delete_index(name)


def _concrete(settings: IndexSettings) -> str:
    return f"{settings.registry}-000001"
