"""Which services the tasks and calls of this process work with."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from celery.signals import worker_process_init

from vidsearch_tasks.services import Services
from vidsearch_tasks.spawned import handed_over

if TYPE_CHECKING:
    from celery import Celery

    from vidsearch.config import Settings
    from vidsearch.encoders import Encoder

__all__ = ["configure", "configured_in", "current_services"]

_default = _current = Services()
_configured_in: str | None = None


def current_services() -> Services:
    """The services of this process; see :func:`configure`."""
    return _current


def configure(
    settings: Settings | None = None,
    *,
    client: Any = None,
    encoder: Encoder | None = None,
    app: Celery | None = None,
) -> Services:
    """Hand in what the application has already; see :class:`Services`.

    Call it where the application's Celery app is made, at the top of a module, so that its workers
    run it, too, and their pool's processes where these are not forked.
    """
    global _current, _configured_in
    _current = Services(settings, client=client, encoder=encoder, app=app)
    _configured_in = sys._getframe(1).f_globals.get("__name__")
    return _current


def configured_in() -> str | None:
    """Name of the module that called :func:`configure`, if one did."""
    return _configured_in


@worker_process_init.connect  # type: ignore[untyped-decorator]
def _start_process(**_: Any) -> None:
    module = handed_over().get("configured_in")
    if module and _current is _default:
        import_module(module)
    _current.after_fork()
