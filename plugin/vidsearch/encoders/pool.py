"""Encoders by identity, so that an index of another model than the configured one is served, too.

An index says whose vectors it holds. While the model of an index is changed, the old and the new
one are needed side by side: a search takes the one of the index that answers, a worker the one of
the index that it writes to.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

from vidsearch.config import IngestSettings, ModelSettings
from vidsearch.dotted import is_dotted
from vidsearch.encoders import onnx
from vidsearch.encoders.base import Encoder
from vidsearch.encoders.identity import ModelIdentity
from vidsearch.encoders.load import load_encoder
from vidsearch.errors import VidsearchError

__all__ = ["EncoderPool", "is_found_by_name", "model_named"]

_KEPT = 2
"""The model before a change and the one after it."""
_AGAIN_AFTER = 10.0
"""Seconds until a model that was not found is looked for again."""


class EncoderPool:
    """Finds the encoder of an identity, and keeps the two that were asked for last. Thread-safe.

    The configured model comes first. Others are found by what the identity says: ``demo``, a hub
    id with its revision, and, as an identity says nothing of paths, the folders, ONNX exports and
    encoders of your own that ``model.others`` names. Whoever asks for one model never waits until
    another is found.

    Args:
        configured: makes the configured encoder; called again where it had to make room.
        model: the section ``model`` of the settings; ``None``: there is no other model.
        ingest: the section ``ingest``: how frames are chosen is part of an identity.
        clock: tells seconds.
    """

    def __init__(
        self,
        configured: Callable[[], Encoder],
        model: ModelSettings | None = None,
        ingest: IngestSettings | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make_configured = configured
        self._model = model
        self._ingest = ingest or IngestSettings()
        self._clock = clock
        self._lock = threading.Lock()  # never held while something is read or loaded
        self._kept: OrderedDict[ModelIdentity, Encoder] = OrderedDict()
        self._configured: ModelIdentity | None = None
        self._finding: dict[ModelIdentity | None, threading.Lock] = {}
        self._missing: dict[ModelIdentity, tuple[float, str]] = {}

    @classmethod
    def from_settings(cls, model: ModelSettings, ingest: IngestSettings) -> EncoderPool:
        """Of the model that the settings name, which is loaded when first needed."""
        return cls(lambda: load_encoder(model, ingest), model, ingest)

    @property
    def configured(self) -> Encoder:
        """The encoder of the settings.

        Raises:
            EncoderError, ConfigError: it cannot be made.
        """
        if (encoder := self._kept_of(self._configured)) is not None:
            return encoder
        with self._one_at_a_time(None):
            if (encoder := self._kept_of(self._configured)) is not None:
                return encoder
            encoder = self._make_configured()
            self._configured = encoder.identity
            return self._keep(self._configured, encoder)

    def encoder_for(self, identity: ModelIdentity, *, where: str) -> Encoder:
        """The encoder of that identity. Takes a while the first time, but loads no weights.

        Args:
            identity: of the vectors that are to be made or compared with.
            where: what holds them, for the message: ``"index 'videos'"``.

        Raises:
            ModelMismatchError: neither the configured model nor another one that can be found; the
                message shows both identities, and why.
            EncoderError, ConfigError: the configured one cannot be made.
        """
        if (encoder := self._kept_of(identity)) is not None:
            return encoder
        if identity == (configured := self._configured or self.configured.identity):
            return self.configured
        with self._one_at_a_time(identity):
            if (encoder := self._kept_of(identity)) is not None:
                return encoder
            found = self._find(identity)
            if not isinstance(found, str):
                return self._keep(identity, found)
        configured.require(identity, where=where, advice=found)
        raise AssertionError("two identities that differ")

    def holds(self, identity: ModelIdentity) -> bool:
        """Whether the encoder of that identity is at hand."""
        return identity in self._kept

    def _kept_of(self, identity: ModelIdentity | None) -> Encoder | None:
        if identity is None:
            return None
        with self._lock:
            if (encoder := self._kept.get(identity)) is not None:
                self._kept.move_to_end(identity)
        return encoder

    def _keep(self, identity: ModelIdentity, encoder: Encoder) -> Encoder:
        with self._lock:
            self._kept[identity] = encoder
            self._kept.move_to_end(identity)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return encoder

    def _one_at_a_time(self, identity: ModelIdentity | None) -> threading.Lock:
        """Held by who looks for that model; ``None``: who makes the configured one."""
        with self._lock:
            return self._finding.setdefault(identity, threading.Lock())

    def _find(self, identity: ModelIdentity) -> Encoder | str:
        """Another model than the configured one, or what to do, as it was not found."""
        if self._model is None:
            return "Hand in that model, too, as an EncoderPool."
        now = self._clock()
        since, advice = self._missing.get(identity, (-_AGAIN_AFTER, ""))
        if now - since < _AGAIN_AFTER:
            return advice
        reasons = []
        for settings in _candidates(self._model, identity):
            try:
                encoder = load_encoder(settings, self._ingest)
                found = encoder.identity
            except VidsearchError as error:
                reasons.append(str(error))
            else:
                if found == identity:
                    self._missing.pop(identity, None)
                    return encoder
                own = settings.encoder != "auto"
                reasons.append(f"{settings.encoder if own else settings.name!r} is {found}")
        why = "; ".join(reasons) or "nothing that VIDSEARCH_MODEL__OTHERS names is that model"
        advice = (
            f"That model was not found beside it: {why}. Set VIDSEARCH_MODEL__NAME to it, or add "
            "the folder of its checkpoint or ONNX export to VIDSEARCH_MODEL__OTHERS."
        )
        self._missing[identity] = now, advice
        return advice


def model_named(name: str, model: ModelSettings, *, revision: str | None = None) -> ModelSettings:
    """The section ``model`` for another model, computed as the configured one.

    Args:
        name: ``demo``, hub id, folder, or an encoder of your own as ``package.module:Name``.
        model: the section as it is.
        revision: of the hub.
    """
    own = is_dotted(name)
    precision = model.precision
    # Each of the two has one that the other lacks.
    if not own and precision == ("bf16" if onnx.is_export(name) else "int8"):
        precision = "auto"
    changes = {"revision": revision, "precision": precision}
    changes |= {"encoder": name} if own else {"encoder": "auto", "name": name}
    return model.model_copy(update=changes)


def is_found_by_name(identity: ModelIdentity) -> bool:
    """Whether the identity says where the model is: ``demo`` or a hub id, which has a slash."""
    return identity.name == "demo" or "/" in identity.name


def _candidates(model: ModelSettings, identity: ModelIdentity) -> Iterator[ModelSettings]:
    """What may be the model of an identity, what the user names before what is found by itself."""
    names = [name for name in model.others if _may_be(name, identity)]
    if identity.name not in names and is_found_by_name(identity):
        names.append(identity.name)
    for name in names:
        yield model_named(name, model, revision=identity.revision)
    if is_dotted(model.encoder):
        yield model.model_copy(update={"name": identity.name, "revision": identity.revision})


def _may_be(name: str, identity: ModelIdentity) -> bool:
    """Whether it is worth a look, as a folder would be hashed for it, and a hub asked."""
    if is_dotted(name) or onnx.is_export(name) or Path(name).is_absolute():
        return True
    if name.startswith((".", "~")) or Path(name).is_dir():
        return identity.name == "local"
    return name == identity.name
