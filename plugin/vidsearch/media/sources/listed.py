"""What can be said against a URI by the settings alone, without asking for the video."""

from __future__ import annotations

import os
from pathlib import Path

from vidsearch.config import SourceSettings
from vidsearch.errors import SourceForbiddenError, SourceNotFoundError
from vidsearch.media.sources.allowlist import Allowlist
from vidsearch.media.sources.schemes import canonical_scheme, require_scheme
from vidsearch.media.sources.uris import BucketUri, WebUri, file_path, public_uri, scheme_of

__all__ = ["require_listed", "rule_for"]


_WEB = {"http", "https"}


def require_listed(uri: str, settings: SourceSettings, *, from_client: bool) -> None:
    """Refuse a URI by its scheme, its host or bucket, or its folder.

    Not by the addresses of a host, which are known when it is asked. Where ``sources.resolver`` is
    set, URIs are what that makes of them, and only paths are refused here.

    Args:
        uri: of a video.
        settings: what may be read.
        from_client: whether it comes from outside. Then a local file must lie in ``sources.roots``,
            and ``sources.hosts`` must name a bucket, also where these are empty: a worker may read
            more of its machine, and with its credentials, than a client may have read to it.

    Raises:
        SourceForbiddenError: it is not allowed.
        SourceUnsupportedError, SourceNotFoundError: it is no URI that can be read.
    """
    where = public_uri(uri)
    scheme = canonical_scheme(scheme_of(uri) or "file")
    if _is_local(uri, scheme, settings):
        path = Path(file_path(uri, where=where) if scheme_of(uri) == "file" else uri)
        _require_root(path, settings, needed=from_client, where=where)
        require_scheme("file", settings, where=where)
    elif settings.resolver is None:
        require_scheme(scheme, settings, where=where)
        allowlist = Allowlist(settings)
        if scheme in _WEB:
            web = WebUri.parse(uri, where=where)
            allowlist.require_listed(web.host, port=web.port, where=where)
        else:
            bucket = BucketUri.parse(uri, scheme=scheme, where=where).bucket
            allowlist.require_bucket(bucket, where=where, needed=from_client)


def rule_for(uri: str, settings: SourceSettings) -> str:
    """Which settings must allow a URI of a client, without their values."""
    scheme = canonical_scheme(scheme_of(uri) or "file")
    if _is_local(uri, scheme, settings):
        return "sources.schemes must list `file`, and sources.roots a folder that the path is below"
    if scheme in _WEB:
        return "sources.schemes must list its scheme, and sources.hosts its host"
    return "sources.schemes must list its scheme, and sources.hosts name its bucket"


def _is_local(uri: str, scheme: str, settings: SourceSettings) -> bool:
    # A file name may hold a colon, and then looks as if it began with a scheme.
    return scheme == "file" or (settings.resolver is None and "://" not in uri)


def _require_root(path: Path, settings: SourceSettings, *, needed: bool, where: str) -> None:
    if not settings.roots and not needed:
        return
    try:
        real = Path(os.path.realpath(path))
    except ValueError as error:  # a character that no name can have
        raise SourceNotFoundError(f"no such file: {where}") from error
    if not any(real.is_relative_to(os.path.realpath(root)) for root in settings.roots):
        raise SourceForbiddenError(f"{where} may not be read: it lies in none of sources.roots")
