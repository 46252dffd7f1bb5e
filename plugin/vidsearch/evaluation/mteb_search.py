"""vidsearch as a model of MTEB, so that its video retrieval tasks score the whole pipeline.

MTEB hands a corpus over as a data set of files. :class:`MtebSearch` decodes, samples, pools and
compares them as ingestion and search do, not with the frames that MTEB would decode.

    from vidsearch.evaluation.mteb_search import MtebSearch

    results = mteb.evaluate(MtebSearch(load_encoder(settings.model)), tasks)
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidsearch import __version__
from vidsearch.config import IngestSettings, SourceSettings
from vidsearch.defaults import BATCH_SIZE
from vidsearch.embeddings import EmbeddingStore, FrameEmbedder
from vidsearch.encoders import Encoder
from vidsearch.errors import EvaluationError, MissingExtraError
from vidsearch.evaluation.embed import embed_file, embed_texts
from vidsearch.evaluation.variants import Variant
from vidsearch.media import MediaLimits, content_hash, open_reader

__all__ = ["MtebSearch"]

_VIDEO, _TEXT, _ID = "video", "text", "id"
_CONTENT = {_VIDEO, _TEXT, "image", "audio"}
_SUFFIX = ".mp4"


class MtebSearch:
    """Implements MTEB's ``SearchProtocol``: text to video, video to text and video to video.

    Args:
        encoder: of texts and frames.
        variant: how vectors are compared.
        ingest: how frames are chosen and decoded.
        sources: how large videos may be.
        store: keeps the vectors of frames, so that a second task with the same videos decodes none.
        batch_size: pictures per batch.

    Raises:
        MissingExtraError: MTEB is not installed (extra ``mteb``).
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        variant: Variant | None = None,
        ingest: IngestSettings | None = None,
        sources: SourceSettings | None = None,
        store: EmbeddingStore | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        try:
            import mteb  # noqa: F401  (asked for here, as the methods are called from there)
        except ImportError as error:
            raise MissingExtraError.of("mteb", needed_for="running MTEB") from error
        self._encoder = encoder
        self._variant = variant or Variant()
        self._ingest = ingest or IngestSettings()
        self._sources = sources or SourceSettings()
        self._store = store
        self._batch_size = batch_size
        self._ids: list[str] = []
        self._vectors = np.empty((0, encoder.identity.dims), np.float32)

    @property
    def mteb_model_meta(self) -> Any:
        """What MTEB keeps with its results: whose vectors, and how they are compared."""
        from mteb.models import ModelMeta

        identity = self._encoder.identity
        return ModelMeta(
            loader=None,
            name=f"vidsearch/{identity.name.replace('/', '--')}+{self._variant}",
            revision=str(identity.revision),
            release_date=None,
            languages=None,
            n_parameters=None,
            memory_usage_mb=None,
            max_tokens=self._encoder.context_length,
            embed_dim=identity.dims,
            license=None,
            open_weights=None,
            public_training_code=None,
            public_training_data=None,
            framework=[],
            similarity_fn_name=None,
            use_instructions=False,
            training_datasets=None,
            modalities=[_TEXT, _VIDEO],
            experiment_kwargs={"identity": identity.to_meta(), "vidsearch": __version__},
        )

    def index(self, corpus: Any, **about: Any) -> None:
        """Embed what is to be found: a ``datasets.Dataset`` with ``id`` and ``video`` or ``text``.

        Raises:
            EvaluationError: it has other contents, or several at once.
            VideoError: a video cannot be read.
        """
        self._ids = [str(each) for each in corpus[_ID]]
        self._vectors = self._embedded(corpus)

    def search(
        self,
        queries: Any,
        *,
        top_k: int,
        top_ranked: Mapping[str, Sequence[str]] | None = None,
        **about: Any,
    ) -> dict[str, dict[str, float]]:
        """The ``top_k`` best of the corpus for each query, by id, with their scores.

        Args and errors are those of :meth:`index`, and these:

        Args:
            queries: what to search for.
            top_k: number of results per query.
            top_ranked: what each query may find, where it is given.
            **about: of the task; not needed.
        """
        asked = self._embedded(queries)
        score = self._variant.scorer(asked, self._vectors)
        numbers = {id: number for number, id in enumerate(self._ids)}
        found: dict[str, dict[str, float]] = {}
        for at, query in enumerate(map(str, queries[_ID])):
            scores = score(slice(at, at + 1))[0]
            allowed = range(len(scores))
            if top_ranked is not None:
                allowed = [numbers[id] for id in top_ranked[query]]  # type: ignore[assignment]
            best = sorted(allowed, key=lambda number: (-scores[number], number))[:top_k]
            found[query] = {self._ids[number]: float(scores[number]) for number in best}
        return found

    def _embedded(self, data: Any) -> NDArray[np.float32]:
        contents = _CONTENT.intersection(data.column_names)
        if contents == {_TEXT}:
            return embed_texts(self._encoder, [str(text) for text in data[_TEXT]])
        if contents == {_VIDEO}:
            return self._embedded_videos(_undecoded(data))
        raise EvaluationError(
            f"{', '.join(sorted(contents)) or 'nothing'} at once: vidsearch embeds text or video"
        )

    def _embedded_videos(self, data: Any) -> NDArray[np.float32]:
        vectors = []
        reader = open_reader(self._ingest, limits=MediaLimits.of(self._sources))
        embedder = FrameEmbedder.of(
            self._ingest, reader=reader, encoder=self._encoder, batch_size=self._batch_size
        )
        with closing(reader), _as_files() as path_of:
            for each in data[_VIDEO]:
                path = path_of(each)
                vector, _ = embed_file(
                    path, content_hash(path), embedder, ingest=self._ingest, store=self._store
                )
                vectors.append(vector)
        return np.stack(vectors)


def _undecoded(data: Any) -> Any:
    """The data set with the files of its videos in place of what its library decodes of them."""
    from datasets import Video

    if isinstance(data.features[_VIDEO], Video):
        return data.cast_column(_VIDEO, Video(decode=False))
    return data


@contextmanager
def _as_files() -> Iterator[Callable[[Any], Path]]:
    """Gives the file of a video: where it is, or, where the data set holds its bytes, a copy, until
    the next one is asked for."""
    with tempfile.TemporaryDirectory(prefix="vidsearch-mteb-") as folder:

        def path_of(video: Any) -> Path:
            if isinstance(video, str):
                return Path(video)
            path, data = video.get("path"), video.get("bytes")
            if data is None:
                return Path(path)
            copy = Path(folder, f"video{PurePath(path or '').suffix or _SUFFIX}")
            copy.write_bytes(data)
            return copy

        yield path_of
