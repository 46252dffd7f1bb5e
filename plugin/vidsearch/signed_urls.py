"""URLs that are signed for some time: which file they name, whoever signed them and when."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import NamedTuple

from vidsearch.file_names import path_in

__all__ = ["same_file", "without_signature"]


class _Way(NamedTuple):
    """One way of signing, by its parameters in lower case. Without any of those that it needs, a
    query is something else, which may tell one video from another."""

    needed: Mapping[str, str]
    """With a pattern for the value."""
    others: str = ""
    """More of the signature, where they are there; ``*`` stands for any end of a name."""

    def signs(self, name: str) -> bool:
        """Whether a parameter is of the signature, and not of what is signed."""
        return name in self.needed or any(fnmatchcase(name, each) for each in self.others.split())


def _way(needed: str, others: str = "", **patterns: str) -> _Way:
    by_name = {name.replace("_", "-"): pattern for name, pattern in patterns.items()}
    return _Way({name: by_name.get(name, ".+") for name in needed.split()}, others)


_AMZ = "x-amz-algorithm x-amz-credential x-amz-date x-amz-expires x-amz-signedheaders"
_GOOG = "x-goog-algorithm x-goog-credential x-goog-date x-goog-expires x-goog-signedheaders"
_OSS = "x-oss-signature-version x-oss-credential x-oss-date x-oss-expires x-oss-signature"
_AZURE = (
    "ses ss srt sp st se sip spr sr si sdd scid saoid suoid skoid sktid skt ske sks skv"
    " rscc rscd rsce rscl rsct"
)
_SV = r"\d{4}-\d\d-\d\d"

_WAYS = (
    # Amazon S3, version 4 and version 2
    _way(
        f"{_AMZ} x-amz-signature",
        "x-amz-* x-id",  # SDKs add some of their own; none names an object
        x_amz_algorithm="AWS4-.+",
    ),
    _way("awsaccesskeyid signature expires", "x-amz-security-token"),
    # Google Cloud Storage, version 4 and version 2
    _way(f"{_GOOG} x-goog-signature", "x-goog-*", x_goog_algorithm="GOOG4-.+"),
    _way("googleaccessid signature expires"),
    # Azure's shared access signatures, by themselves and by a policy of the container
    _way("sv sig sp se", _AZURE, sv=_SV),
    _way("sv sig si", _AZURE, sv=_SV),
    # CloudFront, with a canned policy and with one of its own
    _way("key-pair-id signature expires", "policy hash-algorithm"),
    _way("key-pair-id signature policy", "hash-algorithm"),
    # Alibaba Cloud OSS, version 1 and version 4
    _way("ossaccesskeyid signature expires", "security-token"),
    _way(
        _OSS,
        "x-oss-additional-headers x-oss-security-token",
        x_oss_signature_version="OSS4-.+",
    ),
)


def same_file(uri: str, other: str) -> bool:
    """Whether two URIs are one, but for the signatures; a path and its ``file:`` URI are."""
    return _file_in(uri) == _file_in(other)


def _file_in(uri: str) -> str:
    if uri[:5].lower() == "file:":
        with suppress(ValueError):  # it names none
            return path_in(uri) or uri
    return without_signature(uri)


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
    pairs = [part.partition("=") for part in parts]
    names = [name.lower() for name, _, _ in pairs]
    values = dict(zip(names, (value for _, _, value in pairs), strict=True))
    for way in _WAYS:
        if all(re.fullmatch(p, values.get(name, "")) for name, p in way.needed.items()):
            kept = [p for p, n in zip(parts, names, strict=True) if not way.signs(n)]
            rest = "?".join([before, *filter(None, ["&".join(kept)])])
            return "#".join([rest, *fragment])
    return uri
