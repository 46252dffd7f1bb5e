"""A registered video whose file is at hand: what it is, and what is embedded of it for an index."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from vidsearch.config import IndexSettings, IngestSettings, SourceSettings
from vidsearch.embeddings import (
    EmbeddingStore,
    FrameEmbedder,
    KeptVideo,
    SegmentPolicy,
    VideoEmbedding,
    embed_video,
)
from vidsearch.embeddings.turns import in_turn, longest_wait
from vidsearch.errors import SourceNotFoundError, SourceUnavailableError
from vidsearch.index.videos_index import VideosIndex
from vidsearch.ingest.content import VideoContent, read_content
from vidsearch.ingest.document import fingerprint, lacking
from vidsearch.ingest.source_circuit import SourceCircuit, unwatched
from vidsearch.media import (
    Candidates,
    Cue,
    MediaReader,
    Source,
    ThumbnailStore,
    best_cues,
    check_sources,
    open_source,
)
from vidsearch.media.frames import VideoInfo
from vidsearch.registry.known_file import must_answer
from vidsearch_mappings.registry import VideoRecord

__all__ = ["OpenedVideo", "VideoOpener"]

_log = logging.getLogger(__name__)


class VideoOpener:
    """Opens the files of registered videos, as the settings say.

    Args:
        index: gives the way in which videos are cut into segments.
        settings: the section ``ingest``.
        sources: where files may be read from.
        thumbnails: where a picture of every segment is put; ``None`` makes none.
        embeddings: where vectors of frames are kept; ``None`` keeps none.
        circuit: keeps it from hosts that do not answer.

    Raises:
        ConfigError: ``sources`` lists a host or scheme that cannot be one.
    """

    def __init__(
        self,
        *,
        index: IndexSettings,
        settings: IngestSettings,
        sources: SourceSettings | None = None,
        thumbnails: ThumbnailStore | None = None,
        embeddings: EmbeddingStore | None = None,
        circuit: SourceCircuit | None = None,
    ) -> None:
        self.settings = settings
        self.thumbnails = thumbnails
        self.embeddings = embeddings
        self._index_settings = index
        self._sources = sources or SourceSettings()
        check_sources(self._sources)
        self._watch = circuit.watch if circuit else unwatched

    @contextmanager
    def opened(
        self, record: VideoRecord, index: VideosIndex, *, at: Callable[[str], None]
    ) -> Iterator[OpenedVideo]:
        """Find out what a video's file is; it is fetched only where nothing else tells.

        Args:
            record: of the video.
            index: that a document is made for.
            at: called with the name of a stage before it begins; what it raises ends the work.

        Raises:
            VideoError, SourceUnavailableError: see :func:`~vidsearch.media.open_source`.
        """
        at("fetch")
        languages, watch = self.settings.subtitle_languages, self._watch(record.uri)
        with open_source(
            record.uri, settings=self._sources, languages=languages, asking=watch
        ) as source:
            content, unanswered = self._content(source, record, at)
            segments = SegmentPolicy.of(self._index_settings, length=index.segment_seconds)
            yield OpenedVideo(
                source,
                content,
                unanswered=unanswered,
                fingerprint=fingerprint(
                    content.hash,
                    index=index,
                    segments=segments,
                    subtitles=self._subtitles(content),
                    thumbnails=self.thumbnails.form if self.thumbnails else None,
                ),
                segments=segments,
                kept=KeptVideo(self.embeddings, content.hash),
                settings=self.settings,
                sources=self._sources,
                thumbnails=self.thumbnails,
                at=at,
            )

    def _content(
        self, source: Source, record: VideoRecord, at: Callable[[str], None]
    ) -> tuple[VideoContent, SourceUnavailableError | None]:
        """Where its place does not answer, or has it no more, it is what it was the last time; but
        where the question is whether it has changed, that is no answer of a place that is away."""
        known = VideoContent.of_record(record)
        try:
            content = read_content(
                source,
                known=known,
                trust=self._sources.trust_validators,
                subtitles=self.settings.subtitles,
                at=at,
            )
        except (SourceNotFoundError, SourceUnavailableError) as error:
            if known is None:
                raise
            if isinstance(error, SourceUnavailableError) and must_answer(record):
                return known, error
            _log.warning("video %r: going by what was read before, as %s", record.id, error)
            return known, None
        return content, None

    def _subtitles(self, content: VideoContent) -> list[str] | None:
        if not self.settings.subtitles:
            return None
        return [*self.settings.subtitle_languages, *content.subtitles]


@dataclass(frozen=True, slots=True, eq=False)
class OpenedVideo:
    """A video's file, as long as it is open."""

    source: Source
    content: VideoContent
    unanswered: SourceUnavailableError | None
    """Why it is not known whether the file has changed since, where that is the question."""
    fingerprint: str
    """Of the document that it has in the index, where that is whole; see :attr:`made`."""
    segments: SegmentPolicy
    """How it is cut for the index."""
    kept: KeptVideo
    settings: IngestSettings
    sources: SourceSettings
    thumbnails: ThumbnailStore | None
    at: Callable[[str], None]

    @property
    def made(self) -> str:
        """The fingerprint of the document that :meth:`embed` made."""
        return lacking(self.fingerprint) if self.kept.is_lacking else self.fingerprint

    def file(self) -> Path:
        """The file on this machine; fetched when it is first asked for."""
        return self.source.file().path

    def in_turn(self, embedder: FrameEmbedder) -> AbstractContextManager[None]:
        """To plan and embed it in: where another process of this machine embeds the same content,
        what that one keeps is waited for."""
        return in_turn(
            self.kept,
            embedder.model,
            folder=self.sources.folder,
            longest=longest_wait(self.settings.time_limit),
            waiting=partial(self.at, "wait"),
        )

    def embed(
        self,
        embedder: FrameEmbedder,
        *,
        info: VideoInfo | None = None,
        collect: Callable[[Candidates], bool] = lambda _: False,
    ) -> VideoEmbedding:
        """Embed what is not kept of it; see :func:`~vidsearch.embeddings.embed_video`."""
        return embed_video(
            self.file,
            embedder=embedder,
            segments=self.segments,
            kept=self.kept,
            info=info,
            max_damaged=self.settings.max_damaged,
            cues=lambda: self._cues(embedder.reader),
            thumbnails=self.thumbnails,
            collect=collect,
            at=self.at,
        )

    def _cues(self, reader: MediaReader) -> Sequence[Cue]:
        if not self.settings.subtitles:
            return ()
        languages = self.settings.subtitle_languages

        def read() -> tuple[Cue, ...]:
            file = self.source.file()
            if self.content.subtitles:  # of what was read before, perhaps
                self.source.require_sidecars()
            return best_cues(file.path, file.sidecars, reader=reader, languages=languages)

        def restored(found: Sequence[Sequence[Any]]) -> tuple[Cue, ...]:
            return tuple(Cue(*each) for each in found)

        return self.kept.fact(
            "cues",
            " ".join((*languages, *self.content.subtitles)),
            read,
            restore=restored,
            plain=lambda cues: [[cue.start, cue.end, cue.text] for cue in cues],
            without=lambda found: restored([*found.values()][-1]) if found else (),
        )
