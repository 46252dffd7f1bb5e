"""How a drill must end: every video has what an undisturbed run gives it, once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.drills.drill import Drill, settings_of
from tests.integration.stage import running_stage

from vidsearch.engines import Document
from vidsearch.registry import State
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import Services

__all__ = ["documents_of", "lost_of", "poison_untold", "wrong_of"]

_SAME = ("vector", "segments", "duration", "width", "height", "model")


def documents_of(services: Services) -> list[Document]:
    """Everything that the index holds."""
    name = services.settings.index.name
    services.engine.refresh(name)
    return list(services.engine.scan(name))


def lost_of(drill: Drill) -> dict[str, str]:
    """The healthy videos that are not indexed, and how they stand."""
    records = drill.stage.services.registry.among(drill.healthy)
    found = {one.id: one for one in records}
    return {
        id: f"{found[id].state}: {found[id].error}" if id in found else "not registered"
        for id in sorted(drill.healthy)
        if id not in found or found[id].state is not State.INDEXED
    }


def poison_untold(drill: Drill) -> dict[str, str]:
    """The poison that has not ended as it must, and how it stands."""
    records = drill.stage.services.registry.find_many([*drill.poison])
    untold = {}
    for id, wanted in drill.poison.items():
        record = records[id]
        error = record.error
        if record.state != wanted.state or error is None or error.type not in wanted.errors:
            untold[id] = f"{record.state}: {error}"
    return untold


def wrong_of(drill: Drill, documents: list[Document], folder: Path) -> dict[str, list[str]]:
    """The documents that an undisturbed run makes otherwise, or not at all, and in which fields."""
    calm = _undisturbed(drill, folder)
    found: dict[str, list[str]] = {}
    for one in documents:
        if one.id not in drill.healthy:
            found[one.id] = ["should not be there"]
            continue
        made, wanted = one.source["video"], calm[drill.library.original_of(one.id)]
        if others := [name for name in _SAME if made.get(name) != wanted.get(name)]:
            found[one.id] = others
    return found


def _undisturbed(drill: Drill, folder: Path) -> dict[Path, Mapping[str, Any]]:
    """What the originals look like in an index that nothing happens to, made in this process and
    without slices."""
    folder.mkdir()
    more = settings_of(drill.scale)
    more["ingest"]["slice_seconds"] = 0
    name = f"{drill.stage.services.settings.index.name}-undisturbed"
    with (
        running_stage(drill.site.node, drill.site.redis.url, name, folder, more=more) as stage,
        Services(stage.services.settings, encoder=FakeEncoder()) as services,
    ):
        for number, path in enumerate(drill.library.originals):
            services.registry.register(f"o{number}", uri=str(path))
            assert services.indexer.ingest(f"o{number}", owner="calm").status == "indexed"
        # Read as the others are: a document that the engine has not indexed yet differs from one
        # that it has in the last bit of its vectors.
        made = {one.id: one.source["video"] for one in documents_of(services)}
    return {path: made[f"o{number}"] for number, path in enumerate(drill.library.originals)}
