"""The services that a command works with."""

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
    """Services of the settings: each is built when first used, and closed at the end.

    Args:
        settings: ``None`` reads those in force.
        encoder: a loaded one; ``None`` builds the one that the settings name.
    """
    from vidsearch_tasks import Services

    services = Services(settings or output.settings(), encoder=encoder)
    try:
        yield services
    finally:
        services.close()
