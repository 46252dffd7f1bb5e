"""Changes of a cluster's state that were sent, and whose answers were lost: they wait in a queue.

What the changes of ``_meta`` are made of, by which they are waited for, is here as well.
"""

from __future__ import annotations

from uuid import uuid4

from vidsearch.engines import Engine, Json

__all__ = ["meta_without", "wait_for_queue"]

_CHANGE = "vidsearch_change"


def wait_for_queue(engine: Engine, name: str) -> None:
    """Have all been done that the engine was sent, answered or not; else it never will be.

    What waits in its queue is done before this: the engines do changes of mappings, of which this
    is one, in their order, and after those of aliases and settings. One that changes nothing may
    pass by the queue, so this changes the ``_meta`` of an index, and back.
    """
    meta = meta_without(engine, name)
    engine.put_mapping(name, {"_meta": {**meta, _CHANGE: uuid4().hex}})
    engine.put_mapping(name, {"_meta": meta})


def meta_without(engine: Engine, name: str, *keys: str) -> Json:
    """The ``_meta`` of an index without these keys, nor what a killed process was to take out."""
    meta = engine.mapping(name).get("_meta") or {}
    return {key: value for key, value in meta.items() if key not in {_CHANGE, *keys}}
