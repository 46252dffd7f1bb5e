"""The query vectors that a model makes of the requests of one search."""

from __future__ import annotations

import time
from collections.abc import Sequence

from vidsearch.encoders.base import Encoder
from vidsearch.encoders.identity import ModelIdentity
from vidsearch.index.description import IndexDescription
from vidsearch.search.checked_request import CheckedRequest
from vidsearch.search.models import Models
from vidsearch.search.query_vector import MediaInput, QueryVector, text_vectors

__all__ = ["Embedded"]


class Embedded:
    """The vectors of some requests, by the index that is to be asked, and how long loading took.

    Made once per model: where the alias is swapped to an index of another model meanwhile, the
    search begins anew with vectors of that one.

    Args:
        requests: of one search.
        models: of the client.
        media: reads images and clips.
    """

    def __init__(
        self, requests: Sequence[CheckedRequest], models: Models, media: MediaInput
    ) -> None:
        self._requests = requests
        self._models = models
        self._media = media
        self._made: dict[ModelIdentity, list[QueryVector]] = {}
        self.loading = 0.0
        """Seconds; none after the first search with a model."""

    def __call__(self, index: IndexDescription) -> list[QueryVector]:
        """A vector per request, empty for one that needs no model.

        Raises:
            ModelMismatchError: the index holds vectors of a model that is not found.
            EncoderError: it cannot be loaded, or failed.
            QueryError: an image or clip cannot be read.
        """
        if (made := self._made.get(index.identity)) is None:
            made = self._made[index.identity] = self._embed(index)
        return made

    def _embed(self, index: IndexDescription) -> list[QueryVector]:
        started = time.perf_counter()
        encoder = self._models.of(index)
        is_cold = self._models.is_cold(encoder)  # its weights are read at the first text
        if not is_cold:
            self.loading += time.perf_counter() - started
        inputs = [each.request.input for each in self._requests if each.request.needs_model]
        texts = [value for name, value in inputs if name == "text"]
        of_texts = iter(text_vectors(texts, encoder=encoder) if texts else ())
        if is_cold:
            self.loading += time.perf_counter() - started
        made = []
        for checked in self._requests:
            if not checked.request.needs_model:
                made.append(QueryVector())
            elif checked.request.input[0] == "text":
                made.append(next(of_texts))
            else:
                made.append(self._of_media(checked, encoder))
        if texts:
            self._models.used(encoder, frames=False)
        if len(texts) < len(inputs):
            self._models.used(encoder, frames=True)
        return made

    def _of_media(self, checked: CheckedRequest, encoder: Encoder) -> QueryVector:
        name, value = checked.request.input
        embed = self._media.image if name == "image" else self._media.clip
        with checked.errors_about(name):
            return QueryVector(embed(value, encoder=encoder).tolist())
