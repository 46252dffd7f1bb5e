"""Which file a signed URL names, whoever signed it and when."""

from __future__ import annotations

import pytest

from vidsearch.signed_urls import same_file, without_signature

FILE = "https://host/videos/a%20b.mp4"
AWS = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=k%2F1&X-Amz-Date=1&X-Amz-Expires=9"
GOOGLE = "X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=k%2F1&X-Goog-Date=1&X-Goog-Expires=9"
OSS = "x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-credential=k%2F1&x-oss-date=1&x-oss-expires=9"

SIGNATURES = {  # what all must have, and what some have
    f"{AWS}&X-Amz-SignedHeaders=host&X-Amz-Signature=s": (
        "X-Amz-Security-Token=t&x-amz-checksum-mode=ENABLED&x-id=GetObject"
    ),
    "AWSAccessKeyId=k&Expires=1&Signature=s%3D": "x-amz-security-token=t",
    f"{GOOGLE}&X-Goog-SignedHeaders=host&X-Goog-Signature=s": "",
    "GoogleAccessId=k&Expires=1&Signature=s": "",
    "sv=2024-11-04&sp=r&se=2026-01-01T00:00:00Z&sig=s%3D": "ss=b&srt=o&st=2025-01-01&spr=https",
    "sv=2024-11-04&si=policy&sig=s%3D": "sr=b",
    "Expires=1&Signature=s&Key-Pair-Id=k": "Hash-Algorithm=SHA256",
    "Policy=p&Signature=s&Key-Pair-Id=k": "",
    "OSSAccessKeyId=k&Expires=1&Signature=s": "security-token=t",
    f"{OSS}&x-oss-signature=s": "x-oss-additional-headers=host&x-oss-security-token=t",
}


@pytest.mark.parametrize("needed", SIGNATURES)
def test_signature_is_left_out_and_nothing_else(needed: str) -> None:
    signature = "&".join(filter(None, [needed, SIGNATURES[needed]]))
    assert without_signature(f"{FILE}?{needed}") == FILE
    assert without_signature(f"{FILE}?{signature}") == FILE
    assert without_signature(f"{FILE}?versionId=3&{signature}&a=%2f#t=1") == (
        f"{FILE}?versionId=3&a=%2f#t=1"
    )


@pytest.mark.parametrize("needed", SIGNATURES)
def test_part_of_a_signature_is_none(needed: str) -> None:
    parts = needed.split("&")
    for at, part in enumerate(parts):
        rest = parts[:at] + parts[at + 1 :]
        empty = [*rest, f"{part.partition('=')[0]}="]
        for uri in (f"{FILE}?{'&'.join(each)}" for each in (rest, empty)):
            assert without_signature(uri) == uri


@pytest.mark.parametrize(
    "uri",
    [
        FILE,
        f"{FILE}?",
        f"{FILE}?signature=s&expires=1",
        f"{FILE}?sig=s&v=2",
        f"{FILE}?KeyName=a.mp4&Signature=s&Expires=1",  # of Cloud CDN, and maybe of anybody
        f"{FILE}?sv=2&sr=1001&sig=aa",
        f"{FILE}?sv=2&sp=1&se=1001&sig=aa",
        f"{FILE}?sv=2024-11-04&sr=1001&sig=aa",
        f"{FILE}?{AWS.replace('AWS4', 'MINE')}&X-Amz-SignedHeaders=host&X-Amz-Signature=s",
        f"{FILE}#?{AWS}&X-Amz-SignedHeaders=host&X-Amz-Signature=s",
        f"/videos/a.mp4?{AWS}&X-Amz-SignedHeaders=host&X-Amz-Signature=s",
        f"s3://bucket/a.mp4?{AWS}&X-Amz-SignedHeaders=host&X-Amz-Signature=s",
    ],
)
def test_uri_that_is_not_known_to_be_signed_stays_as_it_is(uri: str) -> None:
    assert without_signature(uri) == uri


def test_parameters_beside_a_signature_that_name_a_file_are_kept() -> None:
    signed = f"{AWS}&X-Amz-SignedHeaders=host&X-Amz-Signature=s"
    assert without_signature(f"{FILE}?{signed}&film=2") == f"{FILE}?film=2"
    signed = f"{OSS}&x-oss-signature=s"
    assert without_signature(f"{FILE}?{signed}&x-oss-process=x") == f"{FILE}?x-oss-process=x"


@pytest.mark.parametrize(
    ("uri", "other", "same"),
    [
        ("/a b%20.mp4", "file:///a%20b%2520.mp4", True),
        ("FILE:///a.mp4", "file://localhost/a.mp4", True),
        ("file:///caf%E9.mp4", "file:///caf%e9.mp4", True),
        ("/a%20b.mp4", "file:///a%20b.mp4", False),
        ("/a.mp4", "file://other/a.mp4", False),
        ("file://]/a.mp4", "/a.mp4", False),
        ("file://]/a.mp4", "file://]/a.mp4", True),
        ("/a.mp4", "https://h/a.mp4", False),
    ],
)
def test_a_path_and_its_file_uri_are_one_file(uri: str, other: str, same: bool) -> None:
    assert same_file(uri, other) is same_file(other, uri) is same
