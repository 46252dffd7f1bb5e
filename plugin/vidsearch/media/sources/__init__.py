"""URI → a file on this machine, within what the section ``sources`` of the settings allows."""

from __future__ import annotations

from vidsearch.media.sources.fetching import LocalFile, Source, check_sources, fetch, open_source
from vidsearch.media.sources.uris import public_uri

__all__ = ["LocalFile", "Source", "check_sources", "fetch", "open_source", "public_uri"]
