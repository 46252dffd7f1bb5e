"""The parts that a command works with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vidsearch.cli import output

if TYPE_CHECKING:
    from vidsearch.config import Settings
    from vidsearch.encoders import Encoder
    from vidsearch_tasks import Services

__all__ = ["open_services"]


@contextmanager
def open_services(
    settings: Settings | None = None, *, encoder: Encoder | None = None
) -> Iterator[Services]:
    """Engine, registry, encoder and broker, each made when first used; closed at the end.

    Args:
        settings: ``None`` takes those in force.
        encoder: one that is loaded already; ``None`` makes the one that the settings name.
    """
    from vidsearch_tasks import Services

    services = Services(settings or output.settings(), encoder=encoder)
    try:
        yield services
    finally:
        services.close()
