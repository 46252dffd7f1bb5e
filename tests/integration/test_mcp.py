"""The MCP server with the client of the SDK: as a process over stdio, and over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from mcp import Client, StdioServerParameters
from tests.integration.web_stage import VIDEOS, web_settings
from tests.search_index import nearest, unit_vectors
from tests.services import RunningServices
from tests.serving import serving

from vidsearch.config import Settings
from vidsearch.local import SearchNode
from vidsearch.web.mcp_server import http_app

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def settings(
    services: RunningServices, elasticsearch_9: SearchNode, redis_url: str
) -> Iterator[Settings]:
    with web_settings(services, elasticsearch_9, redis_url, max_k=20) as settings:
        yield settings


def _process(settings: Settings) -> StdioServerParameters:
    """The command as a client starts it."""
    env = {
        "VIDSEARCH_ENGINE__URL": settings.engine.url,
        "VIDSEARCH_INDEX__NAME": settings.index.name,
        "VIDSEARCH_MODEL__NAME": settings.model.name,
        "VIDSEARCH_MODEL__ENCODER": settings.model.encoder,
        "VIDSEARCH_WEB__MAX_K": str(settings.web.max_k),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    return StdioServerParameters(
        command=sys.executable, args=["-m", "vidsearch.cli", "mcp"], env=env, cwd=ROOT
    )


async def _called(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    assert result.structured_content is not None
    # For clients that read text only.
    assert json.loads(result.content[0].text) == result.structured_content  # type: ignore[union-attr]
    return result.structured_content


async def _refused(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return str(result.content[0].text)  # type: ignore[union-attr]


def test_tools_of_a_process_find_videos_moments_and_similar_ones(settings: Settings) -> None:
    text = "a dog by the river"
    vector = unit_vectors(text, 1)[0]
    best = [id for id, _ in nearest(VIDEOS, vector)[:3]]

    async def work() -> None:
        async with Client(_process(settings), read_timeout_seconds=120) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert set(tools) == {"search_videos", "get_moments", "find_similar"}
            assert all(tool.annotations.read_only_hint for tool in tools.values())  # type: ignore[union-attr]
            assert all(
                each.get("description")
                for tool in tools.values()
                for each in tool.input_schema["properties"].values()
            )

            found = await _called(client, "search_videos", text=text, k=3, mode="vector")
            assert [video["id"] for video in found["videos"]] == best
            first = found["videos"][0]
            assert first["fields"]["title"]
            assert "file:" not in json.dumps(found)

            moments = await _called(client, "get_moments", id=best[1], text=text, k=10)
            video = next(video for video in VIDEOS if video.id == best[1])
            assert moments["moments"][0]["cosine"] == pytest.approx(
                float((video.segments @ vector).max()), abs=1e-3
            )

            similar = await _called(client, "find_similar", id="v05", at=1.0, k=4)
            expected = [id for id, _ in nearest(VIDEOS, VIDEOS[5].segments[0]) if id != "v05"]
            assert [video["id"] for video in similar["videos"]] == expected[:4]

            even = {"tags": "even"}
            filtered = await _called(client, "search_videos", text=text, filter=even)
            assert all("even" in video["fields"]["tags"] for video in filtered["videos"])
            newest = await _called(client, "search_videos", text=text, sort="-year", k=10)
            years = [video["fields"]["year"] for video in newest["videos"]]
            assert years == sorted(years, reverse=True)
            assert newest["total"]["value"] >= len(years)

            assert "at most 20" in await _refused(client, "search_videos", text=text, k=21)
            script = {"script": {"script": "true"}}
            refused = await _refused(client, "search_videos", text=text, filter=script)
            assert "query language" in refused
            assert "nobody" in await _refused(client, "get_moments", id="nobody", text=text)
            nobody = await _refused(client, "find_similar", id="nobody")
            assert ": id: no video 'nobody'" in nobody
            wrong = await _refused(client, "search_videos", text=text, skip=-1)
            assert ": skip must be" in wrong
            unknown = await _refused(client, "search_videos", text=text, filters=even)
            assert "filters\n  Extra inputs are not permitted" in unknown
            assert all(not tool.input_schema["additionalProperties"] for tool in tools.values())
            # Each would be an error of its own.
            many = {f"argument{at}": 1 for at in range(1000)}
            unknown = await _refused(client, "search_videos", text=text, **many)
            assert "1 validation error" in unknown
            long = await _refused(client, "search_videos", text=text, **{"x" * 9000: 1})
            assert len(long) < 1000
            wrong = await _refused(client, "search_videos", text=text, filter=[1] * 501)
            assert ": filter has more than 500 values" in wrong
            wrong = await _refused(client, "search_videos", text=text, filter=[1])
            assert "an item of a filter list must be a dict, not 1" in wrong
            wrong = await _refused(client, "search_videos", text="x" * 1001)
            assert ": text has 1001 characters, more than 1000" in wrong
            wrong = await _refused(client, "get_moments", id="x" * 513, text=text)
            assert "at most 512 characters" in wrong
            assert "at least 1 character" in await _refused(client, "get_moments", id="", text=text)
            # What a tool gives is described, so that a model knows of it before the first call.
            for tool, gave in (
                ("search_videos", found),
                ("get_moments", moments),
                ("find_similar", similar),
            ):
                schema = tools[tool].output_schema
                assert schema is not None
                assert schema["required"] == list(gave)
                jsonschema.Draft202012Validator.check_schema(schema)
                jsonschema.validate(gave, schema)
                with pytest.raises(jsonschema.ValidationError):
                    jsonschema.validate({**gave, [*gave][1]: "nothing"}, schema)
            wrong = await _refused(client, "get_moments", id=best[1], text=text, k=-1)
            assert ": k must be" in wrong

    asyncio.run(work())


def test_streamable_http_has_the_same_tools_behind_the_same_guard(settings: Settings) -> None:
    async def work(url: str) -> None:
        async with Client(f"{url}/mcp", read_timeout_seconds=120) as client:
            found = await _called(client, "search_videos", text="red circle", k=2)
            assert len(found["videos"]) == 2
            similar = await _called(client, "find_similar", id="v05")
            assert len(similar["videos"]) == 3, "as many as are allowed"

    few = settings.model_copy(update={"web": settings.web.model_copy(update={"max_k": 3})})
    with serving(http_app(few)) as url:
        asyncio.run(work(url))
        stream = httpx.get(f"{url}/mcp", headers={"accept": "text/event-stream"})
        assert (stream.status_code, stream.headers["allow"]) == (405, "POST")
        counted = httpx.get(f"{url}/metrics").text
        assert 'vidsearch_web_requests_total{endpoint="/mcp",status="200"}' in counted
        assert "vidsearch_web_ready 1.0" in counted
        for headers, status in (
            ({"host": "rebound.example"}, 421),
            ({"origin": "https://evil.example"}, 403),
        ):
            assert httpx.post(f"{url}/mcp", json={}, headers=headers).status_code == status
    locked = settings.model_copy(
        update={"web": settings.web.model_validate({"token": "a-token-of-these-tests"})}
    )
    with serving(http_app(locked)) as url:
        assert httpx.post(f"{url}/mcp", json={}).status_code == 401
