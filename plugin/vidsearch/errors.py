"""One error tree.

Every error that vidsearch raises on purpose is a :class:`VidsearchError`. Exceptions of the
libraries below are mapped at the seams (engine adapters, decoders, encoders, broker) to the most
specific class here and kept as ``__cause__``.

::

    VidsearchError
    ├── ConfigError                a setting is missing, unknown or out of range
    │   └── MissingExtraError           an optional dependency is not installed
    ├── QueryError                 the search itself is wrong: empty text, k out of range, …
    ├── VideoError                 the video is at fault: never retried
    │   ├── SourceNotFoundError          nothing at that URI
    │   ├── VideoOpenError         not a video, or damaged beyond reading
    │   ├── NoFramesError          opened, but no frame decodes
    │   ├── VideoDamagedError           more of it fails to decode than the settings allow
    │   ├── VideoTooLargeError          more bytes, seconds or pixels than the settings allow
    │   ├── SourceUnsupportedError      its URI is of a kind that nobody reads
    │   ├── SourceForbiddenError        lies where the settings let nothing be read from
    │   └── DecoderFailedError          a codec hung, crashed or ran out of memory on it
    ├── SourceUnavailableError          the place that holds the video did not answer: retried
    ├── DecoderKilledError                the decoding process was killed from outside: retried
    ├── RegistryError
    │   ├── VideoNotRegisteredError           no such video id in the registry
    │   └── LeaseLostError              another worker owns the video, or it was deleted
    ├── EncoderError
    │   ├── ModelUnavailableError       the checkpoint cannot be loaded
    │   └── ModelMismatchError          model or dims differ from the index's
    ├── BackendError               the search engine or the broker
    │   ├── BackendUnavailableError     not reachable or overloaded: retried with backoff
    │   ├── BackendAccessDeniedError         wrong credentials or missing rights
    │   ├── IndexNotFoundError           no such index or alias
    │   ├── DocumentNotFoundError           the host deleted the document of a video
    │   ├── MappingConflictError        the live mapping is not the one we need
    │   ├── VersionConflictError        a compare-and-set lost against another writer
    │   └── BulkError              some items of a bulk were rejected; see ``failures``
    └── LocalError                 a node or service on this machine did not start

The constructors take one positional message and keyword attributes with defaults only, so that an
error survives pickling and Celery's JSON result backend. Whatever a reader must know stands in the
message itself.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "BackendError",
    "BackendAccessDeniedError",
    "BackendUnavailableError",
    "BulkError",
    "ConfigError",
    "DecoderFailedError",
    "DecoderKilledError",
    "DocumentNotFoundError",
    "EncoderError",
    "IndexNotFoundError",
    "LeaseLostError",
    "LocalError",
    "MappingConflictError",
    "MissingExtraError",
    "ModelMismatchError",
    "ModelUnavailableError",
    "NoFramesError",
    "QueryError",
    "RegistryError",
    "SourceForbiddenError",
    "SourceUnavailableError",
    "SourceUnsupportedError",
    "VersionConflictError",
    "VideoDamagedError",
    "VideoError",
    "SourceNotFoundError",
    "VideoOpenError",
    "VideoTooLargeError",
    "VideoNotRegisteredError",
    "VidsearchError",
]


class VidsearchError(Exception):
    """Base of everything vidsearch raises on purpose."""


class ConfigError(VidsearchError):
    """A setting is missing, unknown or out of range."""


class MissingExtraError(ConfigError):
    """An optional dependency is not installed."""

    @classmethod
    def of(cls, extra: str, *, needed_for: str) -> MissingExtraError:
        """The one-line message that names the extra to install."""
        return cls(f"{needed_for} needs an extra: pip install 'vidsearch[{extra}]'")


class QueryError(VidsearchError):
    """The search request is wrong; nothing was sent."""


class VideoError(VidsearchError):
    """The video is at fault. It is recorded as failed and never retried by itself."""


class SourceNotFoundError(VideoError):
    """Nothing was found at the URI."""


class VideoOpenError(VideoError):
    """The file is not a video that can be opened, or is damaged beyond reading."""


class NoFramesError(VideoError):
    """The file opened, but no frame of it decodes."""


class VideoDamagedError(VideoError):
    """More of the video fails to decode than ``ingest.max_damaged`` allows."""


class VideoTooLargeError(VideoError):
    """More bytes, seconds or pixels than the section ``sources`` of the settings allows."""


class SourceUnsupportedError(VideoError):
    """The video's URI is of a kind that nobody reads: another scheme, a file of another machine."""


class SourceForbiddenError(VideoError):
    """The video lies where the section ``sources`` of the settings lets nothing be read from."""


class DecoderFailedError(VideoError):
    """A codec hung, crashed or ran out of memory on the video; the worker lives on."""


class SourceUnavailableError(VidsearchError):
    """The place that holds the video did not answer. Retried with backoff."""


class DecoderKilledError(VidsearchError):
    """The decoding process was killed from outside, so the video need not be at fault. Retried."""


class RegistryError(VidsearchError):
    """The registry refused a transition."""


class VideoNotRegisteredError(RegistryError):
    """No video with that id is registered."""


class LeaseLostError(RegistryError):
    """The lease of a video is held by another worker, or the video was deleted meanwhile."""


class EncoderError(VidsearchError):
    """The encoder failed."""


class ModelUnavailableError(EncoderError):
    """The checkpoint cannot be loaded."""


class ModelMismatchError(EncoderError):
    """The model differs from the one whose vectors the index holds."""


class BackendError(VidsearchError):
    """The search engine or the broker failed."""


class BackendUnavailableError(BackendError):
    """Not reachable, timed out or overloaded. Retried with backoff and jitter."""


class BackendAccessDeniedError(BackendError):
    """Wrong credentials or missing rights."""


class IndexNotFoundError(BackendError):
    """No such index or alias."""


class DocumentNotFoundError(BackendError):
    """The document of a video is not in the host's index, or not any more."""


class MappingConflictError(BackendError):
    """The live mapping is not the one that is needed."""


class VersionConflictError(BackendError):
    """A compare-and-set lost against another writer."""


class BulkError(BackendError):
    """Some items of a bulk write were rejected."""

    def __init__(
        self,
        message: str,
        *,
        failures: Mapping[str, str] | None = None,
        conflicts: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.failures: dict[str, str] = dict(failures or {})
        """Reason per document id."""
        self.conflicts = conflicts
        """Ids of the writes that found another revision than expected."""


class LocalError(VidsearchError):
    """A search node or Redis on this machine did not start or stop."""
