"""An index in memory, and a second one beside it whose documents are to be made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.ingest_stage import SETTINGS, Counting, Stage

from vidsearch.embeddings import FrameEmbedder
from vidsearch.encoders import Encoder, ModelIdentity, require_sound
from vidsearch.errors import ModelMismatchError
from vidsearch.index import VideosIndex, create_videos_index, open_videos_index, videos_index_body
from vidsearch.index.targets import open_concrete
from vidsearch.ingest import Embedders, FillBoard, Filler, Outcome, VideoOpener

__all__ = ["NEW", "Reindexed"]

NEW = "videos-000002"


class Reindexed(Stage):
    """A stage with a second index, whose documents have to be made."""

    def __init__(self) -> None:
        super().__init__()
        create_videos_index(self.engine, SETTINGS, self.encoder.identity)
        self.other = Counting(revision="2")
        require_sound(self.other)
        self.other.frames = 0
        self.fills = FillBoard(self.engine, SETTINGS, lease_seconds=30, max_attempts=2)
        self.before_write: Callable[[], Any] = lambda: None

    def begin(self, identity: ModelIdentity | None = None, **changes: Any) -> None:
        settings = SETTINGS.model_copy(update=changes)
        body = videos_index_body(self.engine, settings, identity or self.encoder.identity)
        self.engine.create_index(NEW, body)
        self.engine.update_aliases(
            [
                {"add": {"index": index, "alias": SETTINGS.write_alias}}
                for index in ("videos-000001", NEW)
            ]
        )

    def swap(self) -> None:
        self.engine.update_aliases(
            [
                {"remove": {"index": "videos-000001", "alias": "videos"}},
                {"add": {"index": NEW, "alias": "videos"}},
            ]
        )

    @property
    def target(self) -> VideosIndex:
        return self.opened(NEW)

    def encoder_for(self, index: VideosIndex) -> Encoder:
        for encoder in (self.encoder, self.other):
            if encoder.identity == index.identity:
                return encoder
        raise ModelMismatchError("neither")

    def embedder_of(self, index: str | None) -> FrameEmbedder:
        opened = self.opened(index) if index else open_videos_index(self.engine, SETTINGS)
        return Embedders(self.embedder(), self.encoder_for).of(opened)

    def opened(self, index: str) -> VideosIndex:
        return open_concrete(self.engine, index, alias="videos")

    def request(self, *ids: str) -> tuple[str, ...]:
        return self.fills.add([self.registry.get(id) for id in ids], self.target)

    def fill(self, fill_id: str) -> Outcome:
        stage = self

        class Held(Filler):
            def _write(self, *args: Any, **options: Any) -> bool:
                step, stage.before_write = stage.before_write, lambda: None
                step()
                return super()._write(*args, **options)

        return Held(
            self.engine,
            self.registry,
            self.fills,
            embedder=self.embedder(),
            encoder_for=self.encoder_for,
            alias="videos",
            opener=VideoOpener(
                index=SETTINGS,
                settings=self.ingest_settings,
                sources=self.sources,
                thumbnails=self.thumbnails,
                embeddings=self.store,
            ),
            slices=self.board,
        ).fill(fill_id, owner="w")

    def made(self, id: str) -> dict[str, Any] | None:
        found = self.engine.get(NEW, id)
        return None if found is None else found.source
