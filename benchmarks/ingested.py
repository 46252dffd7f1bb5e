"""What benchmarks that ingest videos share: settings, those of workers, and waiting for the end."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

from vidsearch.config import Settings
from vidsearch.registry import NewVideo, State
from vidsearch_tasks import Services, register_videos

__all__ = ["environment_of", "ingest", "settings_of"]

_LONGEST = 600.0
_POLL = 0.5
_NO_SWEEP = 3600.0


def ingest(services: Services, clips: Mapping[str, Path]) -> float:
    """Register clips by the ids of their videos, and wait until workers have indexed them.

    Returns:
        Seconds from the first registration to the last video that was indexed.
    """
    registry, began = services.registry, time.time()
    before = registry.counts()[State.INDEXED]
    videos = [NewVideo(id, str(path), {"title": id}) for id, path in clips.items()]
    assert not [one for one in register_videos(videos, services=services) if one.error]
    until = time.monotonic() + _LONGEST
    while (counts := registry.counts())[State.INDEXED] < before + len(videos):
        if counts[State.FAILED] or counts[State.DEAD] or time.monotonic() > until:
            raise SystemExit(f"not all videos were indexed: {counts}")
        time.sleep(_POLL)
    # Counts are those of the last refresh, which may be a second old.
    return max(services.registry.get(id).indexed_at or 0.0 for id in clips) - began


def settings_of(
    engine: str,
    broker: str,
    name: str,
    *,
    keep: bool,
    model: str = "demo",
    others: tuple[str, ...] = (),
) -> Settings:
    """Settings of an index and a queue, both called ``name``, without sweeps.

    Args:
        engine, broker: URLs.
        name: of both.
        keep: whether vectors of frames are kept.
        model: its name, or the folder of a checkpoint.
        others: models that workers find beside it.
    """
    return Settings(
        engine={"url": engine, "kind": "elasticsearch"},
        broker={"url": broker, "queue": name},
        index={"name": name, "replicas": 0},
        embeddings={"keep": keep},
        ingest={"sweep_seconds": _NO_SWEEP},
        model={"name": model, "others": others},
    )


def environment_of(settings: Settings) -> dict[str, str]:
    """The same for a process of a worker."""
    return {
        "VIDSEARCH_ENGINE__URL": settings.engine.url,
        "VIDSEARCH_ENGINE__KIND": settings.engine.kind,
        "VIDSEARCH_BROKER__URL": settings.broker.url.get_secret_value(),
        "VIDSEARCH_BROKER__QUEUE": settings.broker.queue,
        "VIDSEARCH_INDEX__NAME": settings.index.name,
        "VIDSEARCH_INDEX__REPLICAS": "0",
        "VIDSEARCH_INGEST__SWEEP_SECONDS": str(_NO_SWEEP),
        "VIDSEARCH_EMBEDDINGS__KEEP": str(settings.embeddings.keep),
        "VIDSEARCH_MODEL__NAME": settings.model.name,
        "VIDSEARCH_MODEL__OTHERS": json.dumps(settings.model.others),
    }
