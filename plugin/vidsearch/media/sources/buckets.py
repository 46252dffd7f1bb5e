"""Videos in S3, Google Cloud Storage and Azure, through fsspec.

Endpoint and credentials are the worker's, never the URI's: for S3 the usual variables
(``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID``, ``AWS_PROFILE``, …) and files of boto, for the others
those of their own libraries; and what fsspec reads for all (``FSSPEC_S3_ENDPOINT_URL``, its
configuration folder).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from vidsearch.config import SourceSettings
from vidsearch.errors import (
    MissingExtraError,
    SourceNotFoundError,
    SourceUnavailableError,
    VideoOpenError,
    VidsearchError,
)
from vidsearch.media.sources.allowlist import Allowlist
from vidsearch.media.sources.schemes import bucket_extra
from vidsearch.media.sources.sidecars import SIDECAR_BYTES, Sidecar, choose_sidecars
from vidsearch.media.sources.temporary import BoundedFile
from vidsearch.media.sources.timeouts import DEFAULT_TIMEOUTS, Timeouts, TransferClock
from vidsearch.media.sources.uris import BucketUri
from vidsearch_mappings.masking import masked

__all__ = ["copy_object", "copy_sidecars", "object_validator", "signed_url"]

_log = logging.getLogger(__name__)

_CHUNK = 8 * 2**20
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or a role",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS or a service account",
    "az": "AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME with a key or token",
}
# By name, as their modules may not be installed. What the libraries raise for missing or wrong
# credentials.
_REFUSALS = {
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
    "ProfileNotFound",
    "DefaultCredentialsError",
    "RefreshError",
    "ClientAuthenticationError",
    "CredentialUnavailableError",
}


def copy_object(
    source: BucketUri,
    file: BoundedFile,
    *,
    settings: SourceSettings,
    where: str,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
) -> None:
    """Stream an object into a file.

    Raises:
        SourceNotFoundError: no such bucket or object.
        VideoOpenError: a folder.
        VideoTooLargeError: more bytes than the settings allow.
        SourceForbiddenError: the bucket is not listed.
        SourceUnavailableError: no or wrong credentials, throttled, too slow, unreachable.
        MissingExtraError: the package for this kind of bucket is not installed.
    """
    files, info = _described(source, settings, where)
    clock = TransferClock(where, timeouts)
    with _mapped(source, where):
        size = info.get("size")
        if size is not None:
            file.expect(size)
        clock.answered()
        with files.open(source.path, "rb", cache_type="none", block_size=_CHUNK) as remote:
            while chunk := remote.read(_CHUNK):
                clock.count(len(chunk))
                file.write(chunk)
    if size is not None and file.size != size:
        raise SourceUnavailableError(f"{where} broke off: {file.size} of {size} bytes came")
    # Chunks are requests of their own, and not every package asks for the version it began with.
    _, now = _described(source, settings, where)
    if (now.get("size"), _version(now)) != (size, _version(info)):
        raise SourceUnavailableError(f"{where} changed while it was read")


def object_validator(source: BucketUri, *, settings: SourceSettings, where: str) -> str | None:
    """ETag, size and version of an object; ``None`` where the bucket gives no ETag.

    Raises:
        VideoError, SourceUnavailableError, MissingExtraError: as :func:`copy_object`.
    """
    return _version(_described(source, settings, where)[1])


def _version(info: Any) -> str | None:
    etag = info.get("ETag") or info.get("etag")
    version = info.get("VersionId") or info.get("generation") or info.get("version_id") or ""
    return f"{etag} {info.get('size')} {version}".rstrip() if etag else None


def signed_url(source: BucketUri, *, settings: SourceSettings, where: str, seconds: int) -> str:
    """A URL by which anybody may read an object for some seconds. The bucket is not asked.

    Raises:
        SourceForbiddenError: the bucket is not listed.
        SourceUnavailableError: no credentials, or such that nothing can be signed with.
        MissingExtraError: the package for this kind of bucket is not installed.
    """
    Allowlist(settings).require_bucket(source.bucket, where=where)
    files = _filesystem(source.scheme)
    with _mapped(source, where):
        url: str = files.sign(source.path, expiration=seconds)
    return url


def _described(source: BucketUri, settings: SourceSettings, where: str) -> tuple[Any, Any]:
    """The file system of a bucket, and what it says of the object."""
    Allowlist(settings).require_bucket(source.bucket, where=where)
    files = _filesystem(source.scheme)
    with _mapped(source, where):
        files.invalidate_cache()  # it remembers listings, of yesterday if need be
        info = files.info(source.path)
        if info.get("type") == "directory":
            raise VideoOpenError(f"{where} is a folder, not a video")
    return files, info


def copy_sidecars(
    source: BucketUri,
    folder: Path,
    *,
    stem: str,
    languages: Sequence[str] = (),
    where: str | None = None,
    away: Callable[[SourceUnavailableError], object] = lambda error: None,
) -> tuple[Sidecar, ...]:
    """Copy the subtitle files beside an object into a folder, best first, as ``<stem>.…``.

    They are an addition: where the bucket may not be listed, or one of them fails, the video goes
    without, and the log says so; ``where`` is what it calls the object, if not by its own name.
    ``away`` is told where there may be more of them later.
    """
    files = _filesystem(source.scheme)
    key = PurePosixPath(source.key)
    parent = source.path.rpartition("/")[0]
    shown = where or f"{source.scheme}://{source.path}"
    try:
        with _mapped(source, f"subtitles beside {shown}"):
            listed = files.find(parent, prefix=f"{key.stem}.")
    except VidsearchError as error:
        _log.warning("%s", error)
        _tell(away, error)
        return ()
    # Exactly of this name: one with its accents apart is not listed, and may be of another video.
    begins = f"{parent}/{key.stem}."
    names = [path[len(parent) + 1 :] for path in listed if path.startswith(begins)]
    copies = []
    for sidecar in choose_sidecars(key.name, names, languages=languages):
        name = sidecar.path.name
        copy = folder / f"{stem}{name[len(key.stem) :]}"
        beside = f"a subtitle file of {where}" if where else f"{source.scheme}://{parent}/{name}"
        try:
            with (
                BoundedFile(copy, limit=SIDECAR_BYTES, where=beside) as file,
                _mapped(source, beside),
            ):
                file.write(files.cat_file(f"{parent}/{name}", start=0, end=SIDECAR_BYTES + 1))
        except VidsearchError as error:
            _log.warning("subtitles left alone: %s", error)
            copy.unlink(missing_ok=True)
            _tell(away, error)
        else:
            copies.append(replace(sidecar, path=copy))
    return tuple(copies)


def _tell(away: Callable[[SourceUnavailableError], object], error: VidsearchError) -> None:
    if isinstance(error, SourceUnavailableError):
        away(error)


def _filesystem(scheme: str) -> Any:
    try:
        import fsspec

        kind = fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        raise MissingExtraError.of(
            bucket_extra(scheme) or scheme, needed_for=f"reading videos from {scheme}://"
        ) from error
    try:
        return kind()
    except Exception as error:  # adlfs asks for an account already here, with a ValueError
        raise _refused(scheme, f"{scheme}:// cannot be opened", _reason(error)) from error


@contextmanager
def _mapped(source: BucketUri, where: str) -> Iterator[None]:
    try:
        yield
    except VidsearchError:
        raise
    except FileNotFoundError as error:
        raise SourceNotFoundError(f"{where} was not found") from error
    except PermissionError as error:
        reason = _reason(error, source, where)
        raise _refused(source.scheme, f"{where} may not be read", reason) from error
    except Exception as error:
        reason = _reason(error, source, where)
        if type(error).__name__ in _REFUSALS or _status(error) in {401, 403}:
            raise _refused(source.scheme, f"{where} may not be read", reason) from error
        if _status(error) == 404:
            raise SourceNotFoundError(f"{where} was not found") from error
        raise SourceUnavailableError(f"{where} cannot be read: {reason}") from error


def _refused(scheme: str, what: str, reason: str) -> SourceUnavailableError:
    # Not the video's fault: it can be read once the worker's credentials are right.
    return SourceUnavailableError(
        f"{what}: {reason}; check the worker's credentials ({_CREDENTIALS[scheme]}) and "
        "their rights (to who may not list a bucket, a missing object looks the same)"
    )


def _status(error: Exception) -> int | None:
    """HTTP status, as gcsfs (``code``) and azure (``status_code``) keep it."""
    for name in ("status_code", "code"):
        value = getattr(error, name, None)
        if isinstance(value, int):
            return value
    return None


def _reason(error: Exception, source: BucketUri | None = None, where: str = "") -> str:
    """What the library says, unless it names an object that ``where`` keeps to itself."""
    if source and source.key in str(error) and source.path not in where:
        return type(error).__name__
    lines = str(error).splitlines() or [""]
    text = masked(lines[0])[:200]  # a query may hold a signature
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
