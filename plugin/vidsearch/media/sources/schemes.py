"""Which schemes are read at all, and which of them the settings allow."""

from __future__ import annotations

from vidsearch.config import SourceSettings
from vidsearch.errors import ConfigError, SourceForbiddenError, SourceUnsupportedError

__all__ = [
    "BUCKET_SCHEMES",
    "bucket_extra",
    "canonical_scheme",
    "check_schemes",
    "require_scheme",
]

_EXTRAS = {"s3": "s3", "gs": "gcs", "az": "azure"}
"""Scheme of fsspec → the extra that reads it."""

_ALIASES = {"s3a": "s3", "gcs": "gs", "abfs": "az", "abfss": "az"}
BUCKET_SCHEMES = frozenset({*_EXTRAS, *_ALIASES})
"""Schemes of buckets, in every spelling."""
_READ = {"file", "http", "https", *_EXTRAS}
_FORMS = "a path, file://, http://, https://, s3://, gs:// or az://"


def canonical_scheme(scheme: str) -> str:
    """One name per kind of place: ``gcs`` is ``gs``, ``abfs`` is ``az``, ``s3a`` is ``s3``."""
    return _ALIASES.get(scheme, scheme)


def bucket_extra(scheme: str) -> str | None:
    """The extra that a kind of bucket needs; ``None`` for other schemes."""
    return _EXTRAS.get(canonical_scheme(scheme))


def check_schemes(settings: SourceSettings) -> None:
    """Check the setting ``sources.schemes``.

    Raises:
        ConfigError: it names a scheme that is not supported.
    """
    for scheme in settings.schemes:
        if canonical_scheme(scheme.lower()) not in _READ:
            raise ConfigError(
                f"setting sources.schemes: no reader for {scheme!r}; known: "
                f"{', '.join(sorted(_READ))}"
            )


def require_scheme(scheme: str, settings: SourceSettings, *, where: str) -> None:
    """Refuse a scheme that is not supported, or not listed in the settings.

    Raises:
        SourceUnsupportedError: no reader for such a scheme.
        SourceForbiddenError: not in ``sources.schemes``.
    """
    if scheme not in _READ:
        raise SourceUnsupportedError(
            f"{where!r}: no reader for the scheme {scheme!r}; give {_FORMS}"
        )
    if scheme not in {canonical_scheme(one.lower()) for one in settings.schemes}:
        raise SourceForbiddenError(
            f"{where} may not be read: {scheme!r} is not in sources.schemes; add it there if "
            "videos may come from such a place"
        )
