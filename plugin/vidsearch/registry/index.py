"""The registry's index: created behind its name as an alias, upgraded in place, and dropped.

Behind an alias, so that no write to it can make a new index, without asking for it each time; see
:mod:`vidsearch.engines.calls`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from vidsearch.config import IndexSettings
from vidsearch.engines import Engine
from vidsearch.engines.creation import concrete_name, create_side_index, ensure_side_index
from vidsearch.errors import IndexNotFoundError, VidsearchError
from vidsearch_mappings.registry import (
    REGISTRY_VERSION,
    missing_fields,
    registry_index,
    registry_meta,
    registry_version,
)

__all__ = [
    "RegistryLayout",
    "create_registry_index",
    "drop_registry_index",
    "dropped_on_error",
    "ensure_board_index",
    "ensure_registry_index",
    "no_registry",
    "registry_layout",
    "upgrade_registry_index",
]


@dataclass(frozen=True, slots=True)
class RegistryLayout:
    """The layout of a live registry, compared with that of this version of vidsearch."""

    name: str
    """Alias of the registry."""
    version: int
    """0 where it was made before versions were counted."""
    missing: tuple[str, ...]
    """Fields of this version that it lacks."""

    @property
    def is_newer(self) -> bool:
        """Whether a newer version of vidsearch made or upgraded it."""
        return self.version > REGISTRY_VERSION

    @property
    def is_older(self) -> bool:
        """Whether there is something to upgrade."""
        return not self.is_newer and (self.version < REGISTRY_VERSION or bool(self.missing))

    def __str__(self) -> str:
        """One sentence for the user, with what to do."""
        known = f"this version of vidsearch knows up to {REGISTRY_VERSION}"
        if self.is_newer:
            return (
                f"registry {self.name!r} has version {self.version}, {known}: it is left as it is. "
                "Fields that are not known here are kept; update vidsearch here"
            )
        if self.is_older:
            lacks = f" and lacks {', '.join(self.missing)}" if self.missing else ""
            return (
                f"registry {self.name!r} has the older version {self.version}{lacks}: "
                "run `vidsearch index upgrade`"
            )
        return f"registry {self.name!r} has version {self.version}, nothing is to be upgraded"


def create_registry_index(engine: Engine, settings: IndexSettings) -> None:
    """Create ``<registry>-000001`` with the alias ``<registry>``, in one request.

    Raises:
        MappingConflictError: it exists, or an index template of the cluster reached into it.
    """
    body = registry_index(engine.kind, shards=settings.shards, replicas=settings.replicas)
    create_side_index(engine, settings.registry, body, advice=settings.side_advice)


def registry_layout(engine: Engine, settings: IndexSettings) -> RegistryLayout:
    """Compare a live registry with what this version would create.

    Raises:
        IndexNotFoundError: there is none.
    """
    if not engine.indices_of(settings.registry):
        raise no_registry(settings.registry)
    mapping = engine.mapping(settings.registry)
    missing = tuple(sorted(missing_fields(mapping)))
    return RegistryLayout(settings.registry, registry_version(mapping), missing)


def upgrade_registry_index(engine: Engine, settings: IndexSettings) -> RegistryLayout:
    """Add what a live registry lacks, and raise its version. Safe to repeat, and while workers run.

    A registry of a newer version is left as it is. Returns the layout before.

    Raises:
        IndexNotFoundError: there is none.
    """
    layout = registry_layout(engine, settings)
    if layout.is_older:
        mapping = engine.mapping(settings.registry)
        meta = registry_meta(mapping.get("_meta", {}))
        body = {"properties": missing_fields(mapping), "_meta": meta}
        engine.put_mapping(settings.registry, body)
    return layout


def ensure_registry_index(engine: Engine, settings: IndexSettings) -> None:
    """Create the registry where it is absent, else upgrade it."""
    if engine.indices_of(settings.registry):
        upgrade_registry_index(engine, settings)
    else:
        create_registry_index(engine, settings)


def ensure_board_index(engine: Engine, settings: IndexSettings, alias: str) -> None:
    """Create another index of the same layout, for work with leases beside the videos; safe where
    several workers do so at once."""
    body = registry_index(engine.kind, shards=settings.shards, replicas=settings.replicas)
    ensure_side_index(engine, alias, body, advice=settings.side_advice)


@contextmanager
def dropped_on_error(engine: Engine, settings: IndexSettings, *, made: bool) -> Iterator[None]:
    """Around what follows the making of a registry: where that fails, a new registry goes again."""
    try:
        yield
    except BaseException:
        if made:
            with suppress(VidsearchError):  # the error that led here is the one to tell
                drop_registry_index(engine, settings)
        raise


def no_registry(name: str) -> IndexNotFoundError:
    """The error for a registry that was never created."""
    return IndexNotFoundError(
        f"there is no registry {name!r}; create it with `vidsearch index create`"
    )


def drop_registry_index(engine: Engine, settings: IndexSettings) -> None:
    """Drop it where it exists; an index of another kind that has its name is left alone."""
    for name in engine.indices_of(settings.registry):
        if name in {settings.registry, concrete_name(settings.registry)}:  # once it had no alias
            engine.delete_index(name)
