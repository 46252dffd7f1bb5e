"""Workers that reach for one video at the same time."""

from __future__ import annotations

import threading

from vidsearch.errors import LeaseLostError
from vidsearch.registry import Registry

__all__ = ["race_for"]


def race_for(registry: Registry, id: str, *, workers: int) -> list[str]:
    """Claim a video in as many threads at once; the names of those that got it."""
    won: list[str] = []
    start = threading.Barrier(workers)

    def work(name: str) -> None:
        start.wait()
        try:
            registry.claim(id, owner=name)
        except LeaseLostError:
            return
        won.append(name)

    threads = [threading.Thread(target=work, args=(f"w{i}",)) for i in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won
