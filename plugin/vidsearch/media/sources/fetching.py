"""URI → a file on this machine, for as long as it is needed."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import ClassVar

from vidsearch.config import SourceSettings
from vidsearch.errors import SourceUnavailableError, SourceUnsupportedError, VidsearchError
from vidsearch.media.sources.allowlist import Allowlist
from vidsearch.media.sources.buckets import (
    copy_object,
    copy_sidecars,
    object_validator,
    signed_url,
)
from vidsearch.media.sources.headers import headers_of_host
from vidsearch.media.sources.host_slots import host_slot
from vidsearch.media.sources.local import file_validator, local_sidecars, opened_file
from vidsearch.media.sources.resolver import Place, load_resolver, resolve
from vidsearch.media.sources.schemes import canonical_scheme, check_schemes, require_scheme
from vidsearch.media.sources.sidecars import Sidecar
from vidsearch.media.sources.temporary import BoundedFile, workspace
from vidsearch.media.sources.uris import BucketUri, WebUri, file_path, public_uri, scheme_of
from vidsearch.media.sources.web import download, public_url, web_validator
from vidsearch.metrics import count_bytes
from vidsearch.once import build_once

__all__ = ["LocalFile", "Source", "check_sources", "fetch", "open_source"]

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

    Args and errors are those of :func:`open_source`, whose file this is.
    """
    with open_source(uri, settings=settings, languages=languages) as source:
        yield source.file()


@contextmanager
def open_source(
    uri: str,
    *,
    settings: SourceSettings = _DEFAULTS,
    languages: Sequence[str] = (),
    asking: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Iterator[Source]:
    """What can be asked of a video where it lies, before it is fetched or instead.

    A local file is used where it is. A remote one is streamed into a temporary folder when it is
    asked for; the folder is removed when the context ends, whatever happened. Subtitle files come
    along from a folder or a bucket, but not over http. Where ``sources.resolver`` is set, what it
    makes of the URI is read; messages show the URI as given.

    Args:
        uri: of the video.
        settings: what may be read.
        languages: preferred ones of its subtitle files, best first.
        asking: what each request for it is made in; may refuse it.

    Raises:
        ConfigError: the resolver cannot be imported, or returned something else than a URI.
        SourceUnavailableError: the resolver failed. Worth a retry.
        SourceUnsupportedError: empty, or a scheme that is not supported.

    The methods of the source raise as well:

    Raises:
        SourceNotFoundError: no such file or object, or the server denies it
            (4xx).
        VideoOpenError: a folder, or a file that may not be read.
        VideoTooLargeError: more bytes than the settings allow.
        SourceForbiddenError: it lies, or leads, where the settings let nothing be read from.
        SourceUnavailableError: the other side or the disk failed, or a local file changed while it
            was read. Worth a retry.
        TemporaryFolderError: there is no room for a copy.
        MissingExtraError: the scheme needs a package that is not installed.
    """
    if not uri.strip():
        raise SourceUnsupportedError(
            "the video's URI is empty; give a path, file://, https:// or s3://…"
        )
    place = resolve(uri, settings)
    with ExitStack() as stack:
        wanted = _Wanted(uri, place, settings, languages, stack, asking)
        with wanted.errors():
            source = _source(wanted)
        yield source


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What was asked for, and what is to be closed at the end."""

    uri: str
    place: Place
    settings: SourceSettings
    languages: Sequence[str]
    stack: ExitStack
    asking: Callable[[], AbstractContextManager[None]]

    @property
    def where(self) -> str:
        """What messages call the video."""
        return public_uri(self.uri)

    @property
    def shown(self) -> str | None:
        """The same where it is not what is read, which messages then keep to themselves."""
        return self.where if self.place.uri != self.uri else None

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Without their cause, where that may name what the resolver returned."""
        try:
            yield
        except VidsearchError as error:
            if self.shown is None:
                raise
            raise error from None

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Around what may be a request."""
        with self.asking(), self.errors():
            yield


_Away = Callable[[SourceUnavailableError], object]
"""Told why there may be more subtitle files."""


class Source(ABC):
    """One video where it lies."""

    is_local: ClassVar[bool] = False
    """Whether it is read where it is, and not copied."""

    def __init__(self, wanted: _Wanted) -> None:
        self._wanted = wanted

    def validator(self) -> str | None:
        """What stays equal as long as the file's bytes do; ``None`` where nothing tells that."""
        with self._wanted.asked():
            return self._ask_validator()

    @property
    def sidecars(self) -> tuple[Sidecar, ...]:
        """Subtitle files beside it, the one to prefer first; fetched without the video."""
        return self._beside[0]

    def require_sidecars(self) -> None:
        """Refuse to do without subtitle files whose place did not answer.

        Raises:
            SourceUnavailableError: there may be more of them than :attr:`sidecars`.
        """
        _, away = self._beside
        with self._wanted.errors():
            if away:
                raise away[0]

    @build_once
    def _beside(self) -> tuple[tuple[Sidecar, ...], list[SourceUnavailableError]]:
        """Subtitle files, and why there may be more of them."""
        away: list[SourceUnavailableError] = []
        with self._wanted.asked():
            return self._find_sidecars(away.append), away

    def file(self) -> LocalFile:
        """The video as a file of this machine; fetched by the first call."""
        return self._file

    @build_once
    def _file(self) -> LocalFile:
        with self._wanted.asked():
            path, size = self._fetch()
        return LocalFile(path, self._wanted.uri, size, self.sidecars)

    def to_play(self, *, seconds: int) -> tuple[Path, os.stat_result] | str:
        """What a player reads: the file of this machine and its status, or the URL to send a
        browser to.

        Args:
            seconds: for which a URL that is signed here holds.

        Raises:
            SourceForbiddenError: it takes credentials that no browser may be told.
        """
        with self._wanted.asked():
            return self._to_play(seconds)

    @abstractmethod
    def _ask_validator(self) -> str | None: ...

    @abstractmethod
    def _find_sidecars(self, away: _Away) -> tuple[Sidecar, ...]: ...

    @abstractmethod
    def _fetch(self) -> tuple[Path, int]: ...

    @abstractmethod
    def _to_play(self, seconds: int) -> tuple[Path, os.stat_result] | str: ...


class _LocalSource(Source):
    is_local = True

    def __init__(self, wanted: _Wanted, path: Path) -> None:
        super().__init__(wanted)
        self._path = path

    def _ask_validator(self) -> str | None:
        with self._opened() as (_, status):
            return file_validator(status)

    def _find_sidecars(self, away: _Away) -> tuple[Sidecar, ...]:
        wanted = self._wanted
        return local_sidecars(
            self._path,
            wanted.settings,
            languages=wanted.languages,
            where=wanted.shown,
            away=away,
        )

    def _fetch(self) -> tuple[Path, int]:
        real, status = self._wanted.stack.enter_context(self._opened())
        return real, status.st_size

    def _to_play(self, seconds: int) -> tuple[Path, os.stat_result]:
        with self._opened() as opened:
            return opened

    def _opened(self) -> AbstractContextManager[tuple[Path, os.stat_result]]:
        settings = self._wanted.settings
        return opened_file(
            self._path, roots=settings.roots, limit=settings.max_bytes, where=self._wanted.shown
        )


class _RemoteSource(Source):
    @build_once
    def _folder(self) -> Path:
        return self._wanted.stack.enter_context(workspace(self._wanted.settings.folder))

    def _fetch(self) -> tuple[Path, int]:
        where = self._wanted.where
        settings = self._wanted.settings
        copy = self._folder / _copy_name(where)
        with (
            host_slot(self._host(), settings, where=where),
            BoundedFile(copy, limit=settings.max_bytes, where=where) as file,
        ):
            self._copy(file)
        count_bytes(file.size)
        return copy, file.size

    @abstractmethod
    def _host(self) -> str: ...

    @abstractmethod
    def _copy(self, file: BoundedFile) -> None: ...


class _WebSource(_RemoteSource):
    def _ask_validator(self) -> str | None:
        place, settings = self._wanted.place, self._wanted.settings
        return web_validator(
            place.uri, settings=settings, headers=place.headers, where=self._wanted.where
        )

    def _find_sidecars(self, away: _Away) -> tuple[Sidecar, ...]:
        return ()

    def _to_play(self, seconds: int) -> str:
        place, settings = self._wanted.place, self._wanted.settings
        return public_url(
            place.uri, settings=settings, headers=place.headers, where=self._wanted.where
        )

    def _host(self) -> str:
        return WebUri.parse(self._wanted.place.uri, where=self._wanted.where).host

    def _copy(self, file: BoundedFile) -> None:
        place, settings = self._wanted.place, self._wanted.settings
        download(
            place.uri, file, settings=settings, headers=place.headers, where=self._wanted.where
        )


class _BucketSource(_RemoteSource):
    def __init__(self, wanted: _Wanted, bucket: BucketUri) -> None:
        super().__init__(wanted)
        self._bucket = bucket

    def _ask_validator(self) -> str | None:
        wanted = self._wanted
        return object_validator(self._bucket, settings=wanted.settings, where=wanted.where)

    def _find_sidecars(self, away: _Away) -> tuple[Sidecar, ...]:
        wanted = self._wanted
        stem = Path(_copy_name(wanted.where)).stem
        return copy_sidecars(
            self._bucket,
            self._folder,
            stem=stem,
            languages=wanted.languages,
            where=wanted.shown,
            away=away,
        )

    def _to_play(self, seconds: int) -> str:
        wanted = self._wanted
        return signed_url(
            self._bucket, settings=wanted.settings, where=wanted.where, seconds=seconds
        )

    def _host(self) -> str:
        return self._bucket.bucket

    def _copy(self, file: BoundedFile) -> None:
        wanted = self._wanted
        copy_object(self._bucket, file, settings=wanted.settings, where=wanted.where)


def _source(wanted: _Wanted) -> Source:
    read = wanted.place.uri
    scheme = canonical_scheme(scheme_of(read) or "file")
    path: Path | None = None
    if scheme == "file":
        path = Path(file_path(read, where=wanted.shown) if scheme_of(read) else read)
    elif "://" not in read and os.path.exists(read):  # noqa: PTH110  (Path.exists raises, too)
        # a plain file name with a colon in it
        scheme, path = "file", Path(read)
    require_scheme(scheme, wanted.settings, where=wanted.where)
    if path is not None:
        return _LocalSource(wanted, path)
    if scheme in {"http", "https"}:
        return _WebSource(wanted)
    return _BucketSource(wanted, BucketUri.parse(read, scheme=scheme, where=wanted.shown))
