"""One error tree, in which every class says who is at fault.

Every error that vidsearch raises on purpose is a :class:`VidsearchError`. Exceptions of the
libraries below are mapped at the seams (engine adapters, decoders, encoders, broker) to the most
specific class here and kept as ``__cause__``. The second column is the class's ``fault``, from
which :mod:`vidsearch.retry` decides what becomes of a video; see :data:`Fault`.

::

    VidsearchError                  unknown
    ├── ConfigError                 setup     a setting is missing, unknown or out of range
    │   └── MissingExtraError       setup     an optional dependency is not installed
    ├── QueryError                  caller    the search itself is wrong: empty text, k too large, …
    ├── VideoError                  video
    │   ├── SourceNotFoundError     video     nothing at that URI
    │   ├── VideoOpenError          video     not a video, or damaged beyond reading
    │   ├── NoFramesError           video     opened, but no frame decodes
    │   ├── VideoDamagedError       video     more of it fails to decode than the settings allow
    │   ├── VideoTooLargeError      video     more bytes, seconds or pixels than the settings allow
    │   ├── SourceUnsupportedError  video     no reader for a URI of that kind
    │   ├── SourceForbiddenError    video     the settings do not allow that URI
    │   ├── DecoderFailedError      video     a codec hung, crashed or ran out of memory on it
    │   ├── SliceFailedError        video     a slice of a long video failed, or was given up
    │   └── DocumentRejectedError   video     the index does not take its document (mapping, size)
    ├── SourceUnavailableError      outage    the store of the video or the thumbnails is away
    │   ├── SourcePausedError       outage    it was away just now, and is not asked again yet
    │   ├── SourceRootMissingError  setup     this machine lacks the folder that it would be in
    │   └── TemporaryFolderError    setup     the folder for temporary copies is missing or full
    ├── WorkerStoppingError         outage    the worker was told to stop in the middle of its work
    ├── DecoderKilledError          unknown   the decoding process was killed from outside
    ├── RegistryError               caller    an id, uri, field or transition that cannot be
    │   ├── VideoNotRegisteredError caller    no such video id in the registry
    │   └── LeaseLostError          lost      another worker has the video, or it was deleted
    ├── ReindexError                caller    a reindex that cannot begin or go on as things stand
    │   ├── ReindexCheckError       setup     the new index did not pass the check before the swap
    │   └── ReindexTakenOverError   lost      another process drives the reindex now
    ├── VideoListError              caller    a file that lists videos cannot be read as such
    ├── EvaluationError             caller    captions, judgements or vectors that cannot be used
    ├── FineTuningError             caller    fine-tuning that cannot begin or go on as things stand
    ├── EncoderError                unknown   the encoder failed on an input
    │   ├── ModelUnavailableError   setup     the checkpoint cannot be loaded
    │   └── ModelMismatchError      setup     model or dims differ from the index's
    ├── BackendError                setup     the engine or the broker gave an unusable answer
    │   ├── BackendUnavailableError outage    not reachable or overloaded
    │   ├── BackendAccessDeniedError setup    wrong credentials or missing rights
    │   ├── IndexNotFoundError      setup     no such index or alias
    │   ├── DocumentNotFoundError   gone      the user deleted the video's document
    │   ├── MappingConflictError    setup     the live mapping is not the one that is needed
    │   │   └── TooManyBucketsError setup     more values to count than the engine allows
    │   ├── RequestTooLargeError    setup     more bytes than the engine takes (413)
    │   ├── VersionConflictError    conflict  a compare-and-set lost against another writer
    │   └── BulkError               unknown   some writes of a bulk were rejected; see ``failures``
    └── LocalError                  setup     a node or service on this machine did not start

The constructors take one positional message and keyword attributes with defaults only, so that an
error survives pickling and Celery's JSON result backend. The message says all that must be known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

__all__ = [
    "BackendAccessDeniedError",
    "BackendError",
    "BackendUnavailableError",
    "BulkError",
    "ConfigError",
    "DecoderFailedError",
    "DecoderKilledError",
    "DocumentNotFoundError",
    "DocumentRejectedError",
    "EncoderError",
    "EvaluationError",
    "Fault",
    "FineTuningError",
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
    "ReindexCheckError",
    "ReindexError",
    "ReindexTakenOverError",
    "RequestTooLargeError",
    "SliceFailedError",
    "SourceForbiddenError",
    "SourceNotFoundError",
    "SourcePausedError",
    "SourceRootMissingError",
    "SourceUnavailableError",
    "SourceUnsupportedError",
    "TemporaryFolderError",
    "TooManyBucketsError",
    "VersionConflictError",
    "VideoDamagedError",
    "VideoError",
    "VideoListError",
    "VideoNotRegisteredError",
    "VideoOpenError",
    "VideoTooLargeError",
    "VidsearchError",
    "WorkerStoppingError",
]

Fault = Literal["video", "setup", "outage", "caller", "conflict", "lost", "gone", "unknown"]
"""Who is at fault, and what follows from it for a video that is being ingested.

``video``: the file, its registration or its document. The same would happen again: it is recorded
as failed, and not retried until somebody asks for it.
``setup``: settings, installation, model, index or rights. The video is for another worker at once,
and no attempt is used up, however often; the worker that is not set up right pauses.
``outage``: a service does not answer. It is retried with backoff, and no attempt is used up; after
``ingest.give_up_after`` seconds the video is given up.
``caller``: the arguments of a call. The caller is told; nothing was changed or sent.
``conflict``: nobody; another writer was faster. It is looked at again.
``lost``: nobody; the video is another worker's now. It is left alone.
``gone``: the user, who deleted the document. The video is recorded as deleted.
``unknown``: the video, the machine or a bug. It is retried, and an attempt is used up.
"""


class VidsearchError(Exception):
    """Base of everything vidsearch raises on purpose."""

    fault: ClassVar[Fault] = "unknown"
    """Who is at fault; inherited where a subclass does not say otherwise."""


class ConfigError(VidsearchError):
    """A setting is missing, unknown or out of range."""

    fault: ClassVar[Fault] = "setup"


class MissingExtraError(ConfigError):
    """An optional dependency is not installed."""

    @classmethod
    def of(cls, extra: str, *, needed_for: str) -> MissingExtraError:
        """The one-line message that names the extra to install."""
        return cls(f"{needed_for} needs an extra: pip install 'vidsearch[{extra}]'")


class QueryError(VidsearchError):
    """The search request is wrong."""

    fault: ClassVar[Fault] = "caller"

    def __init__(self, message: str, *, argument: str | None = None, known: str = "") -> None:
        super().__init__(message + known)
        self.argument = argument
        """Name of the argument at fault, as the Python API spells it."""
        self.public = message
        """The message without ``known``, for whoever sent the request; no word of the engine."""
        self.known = known
        """The end of the message that names what the index has, which not every caller may know."""

    @property
    def engine(self) -> BackendError | None:
        """What the engine said, where it refused the search; it may name URL and index."""
        cause = self.__cause__.engine if isinstance(self.__cause__, QueryError) else self.__cause__
        return cause if isinstance(cause, BackendError) else None


class VideoError(VidsearchError):
    """The video, its registration or its document is at fault."""

    fault: ClassVar[Fault] = "video"


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
    """There is no reader for the video's URI: another scheme, a file of another machine."""


class SourceForbiddenError(VideoError):
    """The section ``sources`` of the settings does not allow the video's URI."""


class DecoderFailedError(VideoError):
    """A codec hung, crashed or ran out of memory on the video; the worker lives on."""


class SliceFailedError(VideoError):
    """A slice of the video failed, or workers gave it up; its error is in the message."""


class DocumentRejectedError(VideoError):
    """The index's mapping does not take the video's document: a field of another type, …"""


class SourceUnavailableError(VidsearchError):
    """The place that holds the video, or takes its thumbnails, did not answer."""

    fault: ClassVar[Fault] = "outage"


class SourcePausedError(SourceUnavailableError):
    """The host of the video did not answer several times in a row, and is not asked again yet."""

    def __init__(self, message: str, *, seconds: float = 0.0) -> None:
        super().__init__(message)
        self.seconds = seconds
        """Until it may be asked again."""


class SourceRootMissingError(SourceUnavailableError):
    """The folder of ``sources.roots`` that the video would be in is missing on this machine."""

    fault: ClassVar[Fault] = "setup"


class TemporaryFolderError(SourceUnavailableError):
    """The folder for temporary copies (``sources.folder``) is missing, full or not writable."""

    fault: ClassVar[Fault] = "setup"


class WorkerStoppingError(VidsearchError):
    """The worker was told to stop while it worked on the video, which is handed back."""

    fault: ClassVar[Fault] = "outage"


class DecoderKilledError(VidsearchError):
    """The decoding process was killed from outside; the video need not be at fault."""


class RegistryError(VidsearchError):
    """The registry does not take the id, uri or fields, or the state allows no such transition."""

    fault: ClassVar[Fault] = "caller"


class VideoNotRegisteredError(RegistryError):
    """No video with that id is registered."""


class LeaseLostError(RegistryError):
    """Another worker holds the lease of the video, or the video was deleted meanwhile."""

    fault: ClassVar[Fault] = "lost"


class ReindexError(VidsearchError):
    """A reindex cannot begin or go on as things stand; the message says what to do."""

    fault: ClassVar[Fault] = "caller"


class ReindexCheckError(ReindexError):
    """The new index did not pass the check before the swap; searches still go to the old one."""

    fault: ClassVar[Fault] = "setup"


class ReindexTakenOverError(ReindexError):
    """Another process drives the reindex now, as the lease of this one had run out."""

    fault: ClassVar[Fault] = "lost"


class VideoListError(VidsearchError):
    """A file that lists videos cannot be read as such: another format, or no column of URIs."""

    fault: ClassVar[Fault] = "caller"


class EvaluationError(VidsearchError):
    """Captions, judgements or vectors of an evaluation cannot be used as they are."""

    fault: ClassVar[Fault] = "caller"


class FineTuningError(VidsearchError):
    """Fine-tuning cannot begin or go on: too few pairs, another run's state, no finite gradient."""

    fault: ClassVar[Fault] = "caller"


class EncoderError(VidsearchError):
    """The encoder failed on an input."""


class ModelUnavailableError(EncoderError):
    """The checkpoint cannot be loaded."""

    fault: ClassVar[Fault] = "setup"


class ModelMismatchError(EncoderError):
    """The model differs from the one whose vectors the index holds."""

    fault: ClassVar[Fault] = "setup"


class BackendError(VidsearchError):
    """The search engine or the broker gave an answer that cannot be used.

    Without a more specific class, it is most often another server or a proxy that answered.
    """

    fault: ClassVar[Fault] = "setup"


class BackendUnavailableError(BackendError):
    """The search engine or the broker: not reachable, timed out or overloaded."""

    fault: ClassVar[Fault] = "outage"


class BackendAccessDeniedError(BackendError):
    """Wrong credentials or missing rights."""


class IndexNotFoundError(BackendError):
    """No such index or alias."""


class DocumentNotFoundError(BackendError):
    """The index has no document of the video: it was deleted, or never written."""

    fault: ClassVar[Fault] = "gone"


class MappingConflictError(BackendError):
    """The live mapping is not the one that is needed."""


class TooManyBucketsError(MappingConflictError):
    """A search counts more different values than the engine allows."""


class RequestTooLargeError(BackendError):
    """A request has more bytes than the engine, or a proxy in front of it, takes (413)."""


class VersionConflictError(BackendError):
    """A compare-and-set lost against another writer."""

    fault: ClassVar[Fault] = "conflict"


class BulkError(BackendError):
    """Some writes of a bulk were rejected; all others were done."""

    fault: ClassVar[Fault] = "unknown"

    def __init__(
        self,
        message: str,
        *,
        failures: Mapping[str, BackendError] | None = None,
        conflicts: tuple[str, ...] = (),
        revisions: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.failures: dict[str, BackendError] = dict(failures or {})
        """By document id, the error that a single write would raise."""
        self.conflicts = conflicts
        """As :attr:`vidsearch.engines.BulkResult.conflicts`."""
        self.revisions: dict[str, Any] = dict(revisions or {})
        """As :attr:`vidsearch.engines.BulkResult.revisions`."""


class LocalError(VidsearchError):
    """A search node or Redis on this machine did not start or stop."""

    fault: ClassVar[Fault] = "setup"
