"""URI → a file on this machine, for as long as it is needed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from vidsearch.config import SourceSettings
from vidsearch.errors import SourceUnsupportedError, VidsearchError
from vidsearch.media.sources.allowlist import Allowlist
from vidsearch.media.sources.buckets import copy_object, copy_sidecars
from vidsearch.media.sources.headers import headers_of_host
from vidsearch.media.sources.local import local_sidecars, opened_file
from vidsearch.media.sources.resolver import Place, load_resolver, resolve
from vidsearch.media.sources.schemes import canonical_scheme, check_schemes, require_scheme
from vidsearch.media.sources.sidecars import Sidecar
from vidsearch.media.sources.temporary import BoundedFile, workspace
from vidsearch.media.sources.uris import BucketUri, file_path, public_uri, scheme_of
from vidsearch.media.sources.web import download

__all__ = ["LocalFile", "check_sources", "fetch"]

_DEFAULTS = SourceSettings()
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A video that can be opened by path."""

    path: Path
    uri: str = field(repr=False)
    """As given; may hold a signature or credentials, so show :func:`public_uri` of it."""
    size: int
    """Bytes."""
    sidecars: tuple[Sidecar, ...] = ()
    """Subtitle files beside it, the one to prefer first (see :func:`choose_sidecars`)."""


def _copy_name(where: str) -> str:
    """The video's own name, as messages show it, in letters that no file system minds."""
    name = PurePosixPath(where)
    stem = _UNSAFE.sub("_", name.stem).strip("._")[:80] or "video"
    return f"{stem}{name.suffix if _SUFFIX.fullmatch(name.suffix) else ''}"


def check_sources(settings: SourceSettings) -> None:
    """Read the lists once, before a video is refused for a typing error in them.

    Raises:
        ConfigError: an entry is neither a host nor a network, no scheme that is read, or no header;
            or the resolver cannot be imported.
    """
    check_schemes(settings)
    Allowlist(settings)
    headers_of_host(settings)
    load_resolver(settings)


@contextmanager
def fetch(
    uri: str, *, settings: SourceSettings = _DEFAULTS, languages: Sequence[str] = ()
) -> Iterator[LocalFile]:
    """Make a video readable by path for as long as the context lasts.

    A local file is used where it is. A remote one is streamed into a temporary folder, which is
    removed when the context ends, whatever happened. Subtitle files come along from a folder or a
    bucket, but not over http. Where ``sources.resolver`` is set, what it makes of the URI is read;
    messages show the URI as given.

    Args:
        uri: of the video.
        settings: what may be read.
        languages: preferred ones of its subtitle files, best first.

    Raises:
        SourceNotFoundError: no such file or object, or the server denies it
            (4xx).
        VideoOpenError: a folder, or a file that may not be read.
        VideoTooLargeError: more bytes than the settings allow.
        SourceForbiddenError: it lies, or leads, where the settings let nothing be read from.
        SourceUnavailableError: the other side, the disk or the resolver failed, or a local file
            changed while it was read. Worth a retry.
        ConfigError: the resolver cannot be imported, or returned something else than a URI.
        SourceUnsupportedError: empty, or a scheme that is not supported.
        MissingExtraError: the scheme needs a package that is not installed.
    """
    if not uri.strip():
        raise SourceUnsupportedError(
            "the video's URI is empty; give a path, file://, https:// or s3://…"
        )
    place = resolve(uri, settings)
    with ExitStack() as stack:
        try:
            file = stack.enter_context(_opened(place, uri, settings, languages))
        except VidsearchError as error:
            if place.uri == uri:
                raise
            raise error from None  # what a library or the system says names what was read
        yield file


@contextmanager
def _opened(
    place: Place, uri: str, settings: SourceSettings, languages: Sequence[str]
) -> Iterator[LocalFile]:
    where, read = public_uri(uri), place.uri
    shown = where if read != uri else None
    scheme = canonical_scheme(scheme_of(read) or "file")
    path: Path | None = None
    sidecars: tuple[Sidecar, ...]
    if scheme == "file":
        path = Path(file_path(read, where=shown) if scheme_of(read) else read)
    elif "://" not in read and os.path.exists(read):  # noqa: PTH110  (Path.exists raises, too)
        # a plain file name with a colon in it
        scheme, path = "file", Path(read)
    require_scheme(scheme, settings, where=where)

    if path is not None:
        with opened_file(path, roots=settings.roots, limit=settings.max_bytes, where=shown) as (
            real,
            size,
        ):
            sidecars = local_sidecars(path, settings, languages=languages, where=shown)
            yield LocalFile(real, uri, size, sidecars)
        return
    with workspace(settings.folder) as folder:
        copy = folder / _copy_name(where)
        sidecars = ()
        with BoundedFile(copy, limit=settings.max_bytes, where=where) as file:
            if scheme in {"http", "https"}:
                download(read, file, settings=settings, headers=place.headers, where=where)
            else:
                source = BucketUri.parse(read, scheme=scheme, where=shown)
                copy_object(source, file, settings=settings, where=where)
        if scheme not in {"http", "https"}:
            sidecars = copy_sidecars(
                source, folder, stem=copy.stem, languages=languages, where=shown
            )
        yield LocalFile(copy, uri, file.size, sidecars)
