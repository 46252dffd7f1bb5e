"""Two indices of one alias, as they are during a reindex, and a registry beside them."""

from __future__ import annotations

from typing import Any

import numpy as np

from vidsearch.config import IndexSettings
from vidsearch.encoders import ModelIdentity
from vidsearch.engines import Engine, Json
from vidsearch.index import VideosIndex, create_videos_index, open_videos_index, videos_index_body
from vidsearch.index.targets import open_concrete
from vidsearch.registry import Registry
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine

__all__ = ["TwoIndices", "video_of"]


class TwoIndices:
    """The alias stands for ``old``; ``new`` is made by :meth:`begin`, which adds the write alias.

    ``old`` and ``new`` are the names of the concrete indices.
    """

    def __init__(
        self, engine: Engine | None = None, *, name: str = "videos", prefix: str = "vidsearch-"
    ) -> None:
        self.engine: Any = engine or MemoryEngine()
        self.settings = IndexSettings(
            name=name, side_prefix=prefix, segment_seconds=2, shards=1, replicas=0
        )
        self.identity = FakeEncoder().identity
        self.old = create_videos_index(self.engine, self.settings, self.identity)
        self.new = f"{name}-000002"
        self.registry = Registry(
            self.engine, index=self.settings.registry, lease_seconds=30, max_attempts=2
        )

    def begin(self, *, identity: ModelIdentity | None = None, **changes: Any) -> None:
        """Make the new index and the write alias."""
        settings = self.settings.model_copy(update=changes)
        body = videos_index_body(self.engine, settings, identity or self.identity)
        self.engine.create_index(self.new, body)
        alias = self.settings.write_alias
        self.engine.update_aliases(
            [{"add": {"index": index, "alias": alias}} for index in (self.old, self.new)]
        )

    def swap(self) -> None:
        """Have the alias stand for the new index."""
        alias = self.settings.name
        self.engine.update_aliases(
            [
                {"remove": {"index": self.old, "alias": alias}},
                {"add": {"index": self.new, "alias": alias}},
            ]
        )

    def end(self) -> None:
        """Take the write alias away."""
        alias = self.settings.write_alias
        self.engine.update_aliases(
            [{"remove": {"index": index, "alias": alias}} for index in (self.old, self.new)]
        )

    def read(self, engine: Any = None) -> VideosIndex:
        """The index that is read, as a writer opens it."""
        return open_videos_index(engine or self.engine, self.settings)

    def opened(self, name: str) -> VideosIndex:
        return open_concrete(self.engine, name, alias=self.settings.name)

    def ingest(self, id: str, mark: str, *, index: VideosIndex | None = None) -> VideosIndex:
        """As a worker does, up to the record; returns the index that it wrote to."""
        index = index or self.read()
        lease = self.registry.claim(id, owner="w")
        stored = index.read(id)
        document = {**lease.record.fields, "video": video_of(mark, lease.record.uri)}
        expect = stored.revision if stored else "absent"
        index.engine.put(index.name, id, document, expect=expect)
        self.registry.complete(lease, fingerprint=mark)
        return index

    def add(self, id: str, mark: str, **fields: Any) -> VideosIndex:
        """Register and ingest."""
        self.registry.register(id, uri=f"/{id}.mp4", fields=fields)
        return self.ingest(id, mark)

    def source(self, name: str, id: str) -> Json | None:
        """A document, ``None`` where there is none."""
        found = self.engine.get(name, id)
        return None if found is None else found.source

    def marks(self, id: str) -> tuple[str | None, str | None]:
        """The fingerprints of a video's documents in the old and the new index."""
        found = [self.source(name, id) for name in (self.old, self.new)]
        old, new = [one["video"]["fingerprint"] if one else None for one in found]
        return old, new


def video_of(mark: str, uri: str, *, dims: int = 32) -> Json:
    """An object ``video`` with that fingerprint, of which its vectors are made: so a document that
    mixes two is found out."""
    seed = int.from_bytes(mark.encode()[:8].ljust(8, b"0"), "big")
    vector = np.random.default_rng(seed).standard_normal(dims).astype(np.float32)
    return {
        "uri": uri,
        "model": "fake@1",
        "fingerprint": mark,
        "embedded_at": "2026-01-01T00:00:00.000Z",
        "duration": 2.0,
        "vector": vector,
        "segments": [{"start": 0.0, "end": 2.0, "vector": vector}],
    }
