"""Where the pictures are put: a folder or bucket, under keys that follow from their content."""

from __future__ import annotations

import hashlib
import logging
import re
import time
import zipfile
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from vidsearch.errors import VidsearchError
from vidsearch.media.file_store import FileStore, StoredFile
from vidsearch.media.thumbnails.candidates import Candidates
from vidsearch.media.thumbnails.pictures import PictureFormat

if TYPE_CHECKING:
    from vidsearch.config import ThumbnailSettings

__all__ = ["ThumbnailStore"]

_log = logging.getLogger(__name__)
_RECENT = 3600.0
"""Seconds for which a picture that is put again is not written again."""
_PICTURE = re.compile(r"[0-9a-f]{2}/[0-9a-f]{64}\.(?P<format>webp|jpeg)")
_KEY = re.compile(rf"{_PICTURE.pattern}|candidates/[0-9a-f]{{64}}-\d+\.npz")


class ThumbnailStore:
    """Pictures in a folder or bucket that fsspec can write to.

    A picture's key is the SHA-256 of its bytes (``ab/abcdef….webp``), so that the same picture is
    kept once and may be cached for ever.

    Every method raises what :class:`FileStore` raises.
    """

    def __init__(
        self, url: str, *, format: PictureFormat = "webp", size: int = 320, **options: Any
    ) -> None:
        """Nothing is written yet.

        Args:
            url: ``/folder``, ``file:///folder``, ``s3://bucket/prefix`` or another of fsspec's.
            format: of the pictures.
            size: longer side in pixels.
            options: for the file system of fsspec, such as ``endpoint_url`` for ``s3``.

        Raises:
            ConfigError, MissingExtraError, SourceUnavailableError: as :class:`FileStore`.
        """
        self.format: PictureFormat = format
        self.size = size
        self._store = FileStore(url, setting="thumbnails.url", **options)

    @classmethod
    def of(cls, settings: ThumbnailSettings) -> ThumbnailStore | None:
        """The store that the section ``thumbnails`` names; ``None`` where it names none."""
        if settings.url is None:
            return None
        return cls(settings.url, format=settings.format, size=settings.size)

    @property
    def form(self) -> str:
        """What the pictures are like, for example ``"webp-320"``."""
        return f"{self.format}-{self.size}"

    def __repr__(self) -> str:
        return f"ThumbnailStore({self._store.shown!r}, {self.form})"

    def put(self, picture: bytes) -> str:
        """Keep a picture, and return its key below the URL.

        One that is there already is written again if it is older than an hour: its age is what
        protects it from ``vidsearch thumbnails prune`` until the document that names it is written.
        """
        return self._put(picture, self.format)

    def _put(self, picture: bytes, format: PictureFormat) -> str:
        digest = hashlib.sha256(picture).hexdigest()
        key = f"{digest[:2]}/{digest}.{format}"
        written = self._store.written_at(key)
        if written is None or written < time.time() - _RECENT:
            self._store.write(key, picture, media_type=f"image/{format}")
        return key

    def read(self, key: str) -> tuple[bytes, PictureFormat] | None:
        """A picture and its format; ``None`` where there is none, or the key is no picture's."""
        match = _PICTURE.fullmatch(key)
        picture = self._store.read(key) if match else None
        if match is None or picture is None:
            return None
        return picture, "webp" if match["format"] == "webp" else "jpeg"

    def renew(self, keys: Iterable[str]) -> set[str]:
        """Put pictures that are kept once more; returns the keys of those that are there."""
        return {
            key
            for key in set(keys)
            if (picture := self.read(key)) is not None and self._put(*picture) == key
        }

    def leave_candidates(self, name: str, candidates: Candidates) -> None:
        """Keep the candidates of a slice until the thumbnails of its video are chosen.

        Where that fails, the log says so: the video is then decoded once more for its thumbnails.
        """
        try:
            self._store.write(self._candidates_key(name), candidates.packed())
        except VidsearchError as error:
            _log.warning("candidates for thumbnails are not kept: %s", error)

    def collect_candidates(self, names: Iterable[str], candidates: Candidates) -> bool:
        """Add the candidates of slices in their order; where some are missing, none."""
        for name in names:
            packed = self._store.read(self._candidates_key(name))
            try:
                if packed is not None:
                    candidates.extend(packed)
                    continue
            except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                _log.warning("candidates for thumbnails are damaged: %s", error)
            candidates.clear()
            return False
        return True

    def drop_candidates(self, names: Iterable[str]) -> None:
        """Remove candidates; where that fails, ``vidsearch thumbnails prune`` does it later."""
        try:
            self._store.remove(map(self._candidates_key, names))
        except VidsearchError as error:
            _log.warning("candidates for thumbnails are left: %s", error)

    def pictures(self) -> Iterator[StoredFile]:
        """What is kept, in no order, candidates too; files of other names are passed over."""
        return (file for file in self._store.files() if _KEY.fullmatch(file.key))

    def remove(self, keys: Iterable[str]) -> None:
        """Remove pictures; one that is gone already is none of the others' matter."""
        self._store.remove(keys)

    def _candidates_key(self, name: str) -> str:
        return f"candidates/{name}-{self.size}.npz"
