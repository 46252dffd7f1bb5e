"""Texts of other libraries, without the secrets in them."""

from __future__ import annotations

import pytest

from vidsearch_mappings.masking import masked, names_secret


@pytest.mark.parametrize(
    "text",
    [
        "cannot open https://me:hunter2@host/a.mp4",
        "cannot open https://me:hun/ter2@host/a.mp4",
        "cannot open https://me:hunter2@other/ter2@host/a.mp4",
        "cannot open https://hunter2@host/a.mp4",
        "cannot open https://me:123/hunter2@host/a.mp4",
        "GET 'https://b.s3.amazonaws.com/a.mp4?X-Amz-Signature=hunter2&b=c' failed",
        "GET https://host/a.mp4?hunter2 failed",
        "GET /a.mp4?token=hunter2 failed",
        "Max retries exceeded with url: /embed?key=hunter2 (Caused by NewConnectionError())",
        "redis://:hunter2@h:6379/0 refused",
        "redis://h:6379/0?password=hunter2 refused",
        "header Authorization: Bearer hunter2 refused",
        "header Authorization: Basic aHVudGVyMg==hunter2 refused",
        "{'Authorization': 'ApiKey hunter2=='}",
        "password='hunter2' is wrong",
        "api_key: hunter2",
        "AccountName=a;AccountKey=hunter2==;EndpointSuffix=b",
        "sv=2024&sig=hunter2",
        '"secret_access_key": "hunter2"',
    ],
)
def test_secrets_are_masked_and_stay_so(text: str) -> None:
    shown = masked(text)
    assert "hunter2" not in shown
    assert "ter2" not in shown
    assert masked(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("404 for https://u:p@host:8443/a/b.mp4?x=1", "404 for https://host:8443/a/b.mp4?…"),
        ("redis://:p@h:6379/0 refused", "redis://h:6379/0 refused"),
        ("password=x of user me", "password=… of user me"),
    ],
)
def test_host_path_and_the_rest_stay_beside_a_secret(text: str, shown: str) -> None:
    assert masked(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "https://host/@user/a.mp4 is no video",
        "https://host:8443/@user/a.mp4 is no video",
        "http://[::1]:9200/a@b is not reachable",
        "is it at https://host/a.mp4? No",
        "https://host/a.mp4, or me@example.com",
        "caption of 80 tokens: 77 are read",
        "tokenizer: vocab.json is missing",
        "user name for basic authentication",
        "set VIDSEARCH_ENGINE__PASSWORD or web.token",
        "CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 8.00 GiB total)",
    ],
)
def test_texts_without_a_secret_stay(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("password", True),
        ("sentinel_password", True),
        ("aws_session_token", True),
        ("api-key", True),
        ("key", True),
        ("global_keyprefix", False),
        ("master_name", False),
    ],
)
def test_names_of_secrets_are_known(name: str, is_secret: bool) -> None:
    assert names_secret(name) is is_secret
