"""The models of one search client: of the index that answers, and of the one that will be next."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vidsearch.encoders.base import Encoder
from vidsearch.encoders.identity import ModelIdentity
from vidsearch.encoders.output import embedded_frames, embedded_texts
from vidsearch.engines.calls import Calls
from vidsearch.engines.steps import Steps
from vidsearch.errors import BackendError
from vidsearch.index.description import IndexDescription, description_of
from vidsearch.once import Once
from vidsearch_mappings.names import write_alias_of

if TYPE_CHECKING:
    from vidsearch.encoders.pool import EncoderPool

__all__ = ["Models", "pool_of"]

_log = logging.getLogger(__name__)
_AGE = 10.0
"""Seconds for which it is good enough to know which index will be next."""
_SOON_SECONDS, _LOOK_SECONDS = 1.0, 0.05
"""After which a model is loaded ahead: a program that searches once has ended by then."""
_PROBE = "a red circle"


class Models:
    """Gives the encoder of the index that answers, and loads that of the next one ahead.

    While the model of an index is changed, the write alias stands for the index that will be next,
    too. Its model is loaded in a thread as soon as that is seen, at most ten seconds after it was
    made, so that no search waits for it when the alias is swapped. A client that embeds nothing, as
    all its searches are by words or by vectors, loads nothing, and neither does a program that ends
    right after its search. Thread-safe.

    Args:
        pool: finds encoders; made when first needed.
        alias: alias or name of the index that is searched.
        cold: whether the configured model is still to be loaded, which then does not count as time
            of the first search.
        clock: tells seconds.
    """

    def __init__(
        self,
        pool: Callable[[], EncoderPool],
        *,
        alias: str,
        cold: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = Once(pool)
        self._alias = alias
        self._all_cold = cold
        self._clock = clock
        self._looked: float | None = None
        self._lock = threading.Lock()
        self._ready: set[tuple[ModelIdentity, bool]] = set()
        """Models that have embedded a text, or (``True``) a frame."""
        self._refused: set[ModelIdentity] = set()
        self._loading: threading.Thread | None = None
        self._last: tuple[ModelIdentity, Encoder] | None = None

    def of(self, index: IndexDescription) -> Encoder:
        """The encoder of the model whose vectors an index holds. The first time it takes a while.

        Raises:
            ModelMismatchError: neither the configured model nor another one that can be found.
            EncoderError, ConfigError: the configured one cannot be made.
        """
        last, identity = self._last, index.identity
        # A description is kept for some seconds; the pool is asked for each new one.
        if last is None or last[0] is not identity:
            encoder = self._pool().encoder_for(identity, where=f"index {index.name!r}")
            last = self._last = identity, encoder
        return last[1]

    def configured(self) -> Encoder:
        """The encoder of the settings, for what is not compared with an index."""
        return self._pool().configured

    def is_cold(self, encoder: Encoder) -> bool:
        """Whether the first text is still to be embedded, of a model loaded here."""
        return self._all_cold and (encoder.identity, False) not in self._ready

    def used(self, encoder: Encoder, *, frames: bool) -> None:
        """Remember that this model has embedded a text, or a frame."""
        if (key := (encoder.identity, frames)) not in self._ready:
            with self._lock:
                self._ready.add(key)

    def look_ahead(self, calls: Calls, name: str) -> Steps[None]:
        """Load the model of the index that will be next after the one of this name.

        Asks the engine at most every ten seconds, and never fails a search.
        """
        now = self._clock()
        if not self._ready or (self._looked is not None and now - self._looked < _AGE):
            return
        self._looked = now
        try:
            # With the alias itself, as a request that finds nothing is a warning in some logs.
            write_alias = write_alias_of(self._alias)
            behind = yield from calls.indices_behind([self._alias, write_alias])
            for each in behind[write_alias]:
                if each != name:
                    mapping = yield from calls.mapping(each)
                    self._load(description_of(mapping, name=each, alias=self._alias))
        except BackendError as error:  # such as of credentials for the alias alone
            _log.debug("the index that will be next is not known: %s", error)

    def _load(self, coming: IndexDescription) -> None:
        """Load what was used of other models, in a thread; one at a time."""
        held = self._pool().holds(coming.identity)
        with self._lock:
            used = {frames for _, frames in self._ready}
            done = {each for each in used if held and (coming.identity, each) in self._ready}
            if used == done or (self._loading is not None and self._loading.is_alive()):
                return
            self._loading = threading.Thread(
                target=self._load_now,
                args=(coming, sorted(used - done)),
                name=f"vidsearch-model-of-{coming.name}",
                # The program waits for it at its end: a library that is amid its work aborts it.
                daemon=False,
            )
            self._loading.start()

    def _load_now(self, coming: IndexDescription, parts: Sequence[bool]) -> None:
        begin = time.monotonic() + _SOON_SECONDS
        while time.monotonic() < begin:
            if not threading.main_thread().is_alive():  # the program ends
                return
            time.sleep(_LOOK_SECONDS)
        try:
            encoder = self._pool().encoder_for(coming.identity, where=f"index {coming.name!r}")
            for frames in parts:
                _embed_something(encoder, frames=frames)
                self.used(encoder, frames=frames)
        except Exception as error:  # any error at all: it may be an encoder of the user
            if coming.identity not in self._refused:
                self._refused.add(coming.identity)
                _log.warning("searches will fail once index %r answers: %s", coming.name, error)
        else:
            self._refused.discard(coming.identity)
            _log.info("loaded the model of index %r ahead: %s", coming.name, coming.identity)


def pool_of(encoder: Encoder | EncoderPool) -> Callable[[], EncoderPool]:
    """Makes the pool of one encoder, or gives the one that was handed in."""

    def pool() -> EncoderPool:
        from vidsearch.encoders.pool import EncoderPool

        return encoder if isinstance(encoder, EncoderPool) else EncoderPool(lambda: encoder)

    return pool


def _embed_something(encoder: Encoder, *, frames: bool) -> Any:
    """Have the weights of a tower loaded."""
    if not frames:
        return embedded_texts(encoder, [_PROBE])
    from vidsearch.media import FrameBatch

    side = encoder.identity.image_size
    return embedded_frames(encoder, FrameBatch(np.zeros((1, side, side, 3), np.uint8), np.zeros(1)))
