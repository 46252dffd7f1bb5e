"""Which file a signed URL names, whoever signed it and when."""

from __future__ import annotations

import pytest

from vidsearch.signed_urls import without_signature

FILE = "https://host/videos/a%20b.mp4"


@pytest.mark.parametrize(
    "signature",
    [
        "X-Amz-Credential=k%2F1&X-Amz-Date=1&X-Amz-SignedHeaders=host&X-Amz-Signature=s",
        "AWSAccessKeyId=k&Expires=1&Signature=s%3D",
        "X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Date=1&X-Goog-Signature=s",
        "GoogleAccessId=k&Expires=1&Signature=s",
        "sv=2024-11-04&ss=b&srt=o&sp=r&se=2026-01-01T00:00:00Z&st=2025-01-01&spr=https&sig=s%3D",
        "Expires=1&Signature=s&Key-Pair-Id=k",
        "Policy=p&Signature=s&Key-Pair-Id=k",
        "OSSAccessKeyId=k&Expires=1&Signature=s",
    ],
)
def test_signature_is_left_out_and_nothing_else(signature: str) -> None:
    assert without_signature(f"{FILE}?{signature}") == FILE
    assert without_signature(f"{FILE}?versionId=3&{signature}&a=%2f#t=1") == (
        f"{FILE}?versionId=3&a=%2f#t=1"
    )


@pytest.mark.parametrize(
    "uri",
    [
        FILE,
        f"{FILE}?",
        f"{FILE}?signature=s&expires=1",
        f"{FILE}?sig=s&v=2",
        f"{FILE}#?X-Amz-Signature=s&",
        "/videos/a.mp4?X-Amz-Signature=s",
        "s3://bucket/a.mp4?X-Amz-Signature=s",
    ],
)
def test_uri_that_is_not_known_to_be_signed_stays_as_it_is(uri: str) -> None:
    assert without_signature(uri) == uri
