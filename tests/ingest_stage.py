"""An indexer with the store of embeddings in it, on an engine in memory; counts what is done."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vidsearch.config import IndexSettings, IngestSettings, SourceSettings
from vidsearch.embeddings import EmbeddingStore, FrameEmbedder
from vidsearch.embeddings.index_files import IndexFiles
from vidsearch.encoders import Vectors, require_sound
from vidsearch.ingest import Indexer, Outcome, SliceBoard, SliceWorker, lack_fields
from vidsearch.media import Cue, FrameBatch, FrameStream, MediaLimits, ThumbnailStore
from vidsearch.media.direct_reader import DirectReader
from vidsearch.media.frames import VideoInfo
from vidsearch.registry import Registry
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine

SETTINGS = IndexSettings(name="videos", segment_seconds=2.0)


class Counting(FakeEncoder):
    frames = 0

    def encode_frames(self, frames: FrameBatch) -> Vectors:
        self.frames += len(frames.pts_seconds)
        return super().encode_frames(frames)


class CountingReader(DirectReader):
    """Counts readings of frames, of subtitle tracks and of cuts."""

    def __init__(self) -> None:
        super().__init__("pyav", limits=MediaLimits())
        self.readings = self.probes = 0

    def probe(self, path: Path) -> VideoInfo:
        self.probes += 1
        return super().probe(path)

    def frames(self, path: Path, **options: Any) -> FrameStream:
        self.readings += 1
        return super().frames(path, **options)

    def cues(self, path: Path, *, languages: Sequence[str] | None = None) -> tuple[Cue, ...]:
        self.readings += 1
        return super().cues(path, languages=languages)

    def shots(self, path: Path) -> tuple[float, ...]:
        self.readings += 1
        return super().shots(path)


class Stage:
    """An engine in memory, and an indexer with the store in it."""

    def __init__(self, engine: MemoryEngine | None = None) -> None:
        self.engine = engine or MemoryEngine()
        self.encoder = Counting()
        require_sound(self.encoder)  # whose frames are not counted below
        self.encoder.frames = 0
        self.reader = CountingReader()
        self.store: EmbeddingStore | None = EmbeddingStore(IndexFiles(self.engine, SETTINGS))
        self.thumbnails: ThumbnailStore | None = None
        self.index = SETTINGS
        self.ingest_settings = IngestSettings()
        self.sources = SourceSettings(private_hosts=("127.0.0.1",))
        self.registry = Registry(
            self.engine, index=SETTINGS.registry, lease_seconds=30, max_attempts=2
        )
        self.board = SliceBoard(self.engine, SETTINGS, lease_seconds=30, max_attempts=2)

    def embedder(self) -> FrameEmbedder:
        return FrameEmbedder.of(
            self.ingest_settings, reader=self.reader, encoder=self.encoder, batch_size=2
        )

    def embedder_of(self, index: str | None) -> FrameEmbedder:
        """Of a concrete index, or of the one that is read."""
        return self.embedder()

    def ingest(self, id: str, **options: Any) -> Outcome:
        return Indexer(
            self.engine,
            self.registry,
            embedder=self.embedder(),
            index=self.index,
            settings=self.ingest_settings,
            sources=self.sources,
            thumbnails=self.thumbnails,
            embeddings=self.store,
            board=self.board,
            **options,
        ).ingest(id, owner="w")

    def embed_slice(self, id: str) -> Outcome:
        assert self.store is not None
        return SliceWorker(
            self.registry,
            self.board,
            self.store,
            embedder=self.embedder_of,
            settings=self.ingest_settings,
            sources=self.sources,
            thumbnails=self.thumbnails,
        ).embed(id, owner="w")

    def add(self, id: str, uri: Path | str, **fields: Any) -> Outcome:
        """Register and ingest; changed fields alone are left to the worker, as by the sweep."""
        record = self.registry.register(id, uri=str(uri), fields=fields)
        return self.again(id) if lack_fields(record) else self.ingest(id)

    def again(self, id: str, *, forget: bool = False) -> Outcome:
        self.registry.reopen(id, forget=forget)
        return self.ingest(id)

    def video(self, id: str) -> dict[str, Any]:
        document = self.engine.get("videos", id)
        assert document is not None
        video: dict[str, Any] = document.source["video"]
        return video

    def work(self) -> tuple[int, int]:
        """Readings and encoded frames since the last call."""
        done = self.reader.readings, self.encoder.frames
        self.reader.readings = self.encoder.frames = 0
        return done


def aged(path: Path) -> Path:
    """A file that was last changed an hour ago: no clock ticks too slowly for that."""
    hour_ago = path.stat().st_mtime - 3600
    os.utime(path, (hour_ago, hour_ago))
    return path


def assert_same_vectors(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one["vector"] == other["vector"]
    assert one["segments"] == other["segments"]
