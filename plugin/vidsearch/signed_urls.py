"""URLs that are signed for some time: which file they name, whoever signed them and when."""

from __future__ import annotations

import re

__all__ = ["same_file", "without_signature"]

_WAYS: tuple[tuple[frozenset[str], re.Pattern[str]], ...] = (
    (frozenset({"x-amz-signature"}), re.compile(r"x-amz-.+")),
    (
        frozenset({"awsaccesskeyid", "signature"}),
        re.compile(r"awsaccesskeyid|signature|expires|x-amz-security-token"),
    ),
    (frozenset({"x-goog-signature"}), re.compile(r"x-goog-.+")),
    (
        frozenset({"googleaccessid", "signature"}),
        re.compile(r"googleaccessid|signature|expires"),
    ),
    (
        frozenset({"sig", "sv"}),  # a shared access signature of Azure
        re.compile(
            "ses|sv|ss|srt|sp|st|se|sip|spr|sr|si|sig|sdd|scid|saoid|suoid"
            "|skoid|sktid|skt|ske|sks|skv|rscc|rscd|rsce|rscl|rsct"
        ),
    ),
    (
        frozenset({"key-pair-id", "signature"}),  # CloudFront
        re.compile(r"key-pair-id|signature|expires|policy|hash-algorithm"),
    ),
    (
        frozenset({"ossaccesskeyid", "signature"}),  # Alibaba
        re.compile(r"ossaccesskeyid|signature|expires|security-token"),
    ),
)
"""Per way of signing: the parameters that tell it, and those that belong to it, in lower case."""


def same_file(uri: str, other: str) -> bool:
    """Whether two URIs are one, but for the signatures."""
    return without_signature(uri) == without_signature(other)


def without_signature(uri: str) -> str:
    """The URI without what signs it: equal for two signed URLs of one object.

    All else stays as it is, other parameters included: ``versionId`` names another object. For
    comparing only, as a server may refuse it.
    """
    rest, *fragment = uri.split("#", 1)
    before, mark, query = rest.partition("?")
    if not mark or not re.match(r"https?://", before, re.IGNORECASE):
        return uri
    parts = query.split("&")
    names = [part.partition("=")[0].lower() for part in parts]
    for marks, of_signature in _WAYS:
        if marks.issubset(names):
            kept = [p for p, n in zip(parts, names, strict=True) if not of_signature.fullmatch(n)]
            rest = "?".join([before, *filter(None, ["&".join(kept)])])
            return "#".join([rest, *fragment])
    return uri
