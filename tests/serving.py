"""An ASGI app behind a real port, for as long as a test needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import uvicorn
from tests.waiting import until

__all__ = ["serving"]


@contextmanager
def serving(app: Any, **options: Any) -> Iterator[str]:
    """The URL of the app, without a slash at its end; the options are uvicorn's."""
    known = {"host": "127.0.0.1", "port": 0, "log_config": None, "access_log": False}
    config = uvicorn.Config(app, **{**known, **options})
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, name="served-app")
    thread.start()
    try:
        until(lambda: server.started or not thread.is_alive(), what="the app is served")
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
