"""The description of the API: what it says of arguments, and that it tells of every answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.page_stage import TOKEN, Page, open_page

from vidsearch.config import Settings
from vidsearch.web.api.openapi import description
from vidsearch.web.security import CROWDED

DOCUMENT = description(Settings())
OPERATIONS = [(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods]


@pytest.fixture(scope="module")
def locked() -> Iterator[Page]:
    with open_page(web={"token": TOKEN}) as page:
        yield page


def _crowded(app: ASGIApp) -> ASGIApp:
    async def on_one_connection_more(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, CROWDED: True}, receive, send)

    return on_one_connection_more


@pytest.mark.parametrize(
    ("headers", "is_crowded"),
    [
        ({}, False),
        ({}, True),
        ({"content-length": "100000000"}, False),
        ({"authorization": ""}, False),
        ({"authorization": "", "accept": "text/html"}, False),
        ({"host": "elsewhere.example"}, False),
    ],
    ids=("plain", "crowded", "too long", "no token", "a person", "another name"),
)
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_operation_is_answered_as_described(
    locked: Page, path: str, method: str, headers: dict[str, str], is_crowded: bool
) -> None:
    app: Any = locked.client.app
    client = TestClient(_crowded(app) if is_crowded else app, base_url="http://localhost")
    answer = client.request(
        method,
        path.format(id="nobody", key="nothing"),
        headers={"authorization": f"Bearer {TOKEN}", **headers},
        follow_redirects=False,
    )
    assert str(answer.status_code) in DOCUMENT["paths"][path][method]["responses"]


def test_arguments_are_called_as_http_calls_them() -> None:
    assert "`from` count moments" in str(DOCUMENT)
    assert "from_" not in str(DOCUMENT)


def test_an_argument_can_be_null_where_that_is_not_its_default() -> None:
    parameters = DOCUMENT["paths"]["/api/search"]["get"]["parameters"]
    takes_null = {each["name"] for each in parameters if "'null'" in str(each)}
    assert takes_null == {"merge_gap"}


def test_the_picture_of_a_moment_is_described_where_it_points_to() -> None:
    with open_page(thumbnails={"url": "/pictures"}) as page:
        found = page.client.get("/api/search?text=red&mode=vector").json()
    picture = found["hits"][0]["moments"][0]["thumbnail"]
    assert picture.startswith("/thumbnail/")
    assert "/thumbnail/{key}" in DOCUMENT["paths"]
    told = DOCUMENT["components"]["schemas"]["Moment"]["properties"]["thumbnail"]["description"]
    assert "Path on this server" in told
