"""Absolute URIs, and ids made from them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import unquote, urlsplit

from vidsearch.errors import RegistryError
from vidsearch.signed_urls import without_signature

__all__ = ["IdFrom", "absolute_uri", "stable_id"]

IdFrom = Literal["uri", "name"]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


def stable_id(uri: str, *, id_from: IdFrom = "uri") -> str:
    """The same id for the same uri, on every run and machine, and however a URL is signed.

    Args:
        uri: of the video.
        id_from: ``uri`` gives a readable name and a hash of the whole URI; ``name`` gives the
            file's name without its suffix, for names that are known to be unique.

    Raises:
        RegistryError: the URI is not UTF-8, or cannot be taken apart.
    """
    try:
        digest = hashlib.sha256(without_signature(uri).encode()).hexdigest()[:12]
        path = unquote(urlsplit(uri).path) if _SCHEME.match(uri) else uri
    except UnicodeEncodeError as error:
        raise RegistryError(f"the name {_shown(uri)!r} is not UTF-8: rename the file") from error
    except ValueError:  # "from None": the library's message may hold a password of the URI
        raise RegistryError(
            f"{_shown(uri)} is not a valid URI: its host must be a name, or an address, which has "
            "brackets around it if it is IPv6"
        ) from None
    name = re.sub(r"[^\w.-]+", "-", PurePosixPath(path).stem).strip("-")
    if id_from == "name" and name:
        return name
    return f"{name[:80]}-{digest}" if name else digest


def _shown(uri: str) -> str:
    from vidsearch.media import public_uri

    return public_uri(uri)


def absolute_uri(uri: str, *, base: str | Path | None = None, absent: bool = False) -> str:
    """A URI as it is; a path as an absolute one, as workers have other working folders.

    The name of a file that is there is a path, also where it looks like ``scheme:rest``.

    Args:
        uri: as given.
        base: folder or URL that a relative path is below; the working folder by default.
        absent: whether a path may be of a file that is not there.

    Raises:
        RegistryError: it is empty, or a path that is no file of this machine.
    """
    scheme = _SCHEME.match(uri)
    if scheme and uri.startswith("//", scheme.end()):
        return uri
    if not uri.strip():
        raise RegistryError("a URI is empty: name a file, file://, http:// or https://")
    path = Path(base or ".").absolute() / uri
    if scheme and not _exists(path):
        return uri
    if isinstance(base, str) and _SCHEME.match(base) and not uri.startswith("/"):
        return f"{base.rstrip('/')}/{uri.removeprefix('./')}"
    if not (absent or _exists(path)):
        raise RegistryError(
            f"no such file: {uri} (give file:///… for a file that only the workers can see; "
            "`vidsearch videos set` changes the fields of a registered video)"
        )
    if path.is_dir():
        raise RegistryError(f"{uri} is a folder; use --folder {uri}")
    return str(path.resolve())


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # the name is too long, or holds a NUL
        return False
