"""Changes of a cluster's state that were sent, and whose answers were lost: they are queued."""

from __future__ import annotations

from uuid import uuid4

from vidsearch.engines import Engine
from vidsearch.index.copy_note import CHANGE, meta_without

__all__ = ["wait_for_queue"]


def wait_for_queue(engine: Engine, name: str) -> None:
    """Have all been done that the engine was sent, answered or not; else it never will be.

    What waits in its queue is done before this: the engines do changes of mappings, of which this
    is one, in their order, and after those of aliases and settings. One that changes nothing may
    pass by the queue, so this changes the ``_meta`` of an index, and back.
    """
    meta = meta_without(engine, name)
    engine.put_mapping(name, {"_meta": {**meta, CHANGE: uuid4().hex}})
    engine.put_mapping(name, {"_meta": meta})
