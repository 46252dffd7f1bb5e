"""The MCP server: tools by which a language model searches the videos.

The limits are those of the HTTP API. Nothing is written.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

from pydantic import ConfigDict, Field, WithJsonSchema, create_model, model_validator

from vidsearch import __version__
from vidsearch.config import Settings
from vidsearch.errors import MissingExtraError, VidsearchError

try:
    from mcp.server.mcpserver import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError
    from mcp.server.mcpserver.tools import Tool
    from mcp.server.transport_security import TransportSecuritySettings
    from mcp.types import ToolAnnotations
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute, Mount, Route
except ImportError as _error:
    raise MissingExtraError.of("mcp", needed_for="the MCP server") from _error

from vidsearch.search import AsyncVideoSearch, Mode, SearchRequest, SearchResult
from vidsearch.web import health
from vidsearch.web.context import WebContext
from vidsearch.web.described import markdown
from vidsearch.web.limits import max_k
from vidsearch.web.mcp_answers import MomentsFound, VideosFound
from vidsearch.web.metrics import Measured, RequestMetrics
from vidsearch.web.parameters import request_from_json
from vidsearch.web.problems import Problem, problem_of
from vidsearch.web.security import Guard

__all__ = ["http_app", "serve_stdio"]

_INSTRUCTIONS = (
    "Searches a collection of videos by what is to be seen in them. Start with search_videos; "
    "times are seconds from the start of a video."
)
_USUAL = 5
"""Videos or moments that a tool gives where the client names no number."""
_LONGEST_NAME = 100
"""Characters of an unknown argument in a message."""
_LONGEST_ID = 512
_READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)


async def serve_stdio(settings: Settings) -> None:
    """Serve one client by stdin and stdout, until it goes away."""
    context = _context(settings)
    async with context.running():
        await _server(context).run_stdio_async()


def http_app(settings: Settings) -> Starlette:
    """The ASGI app that serves the tools at ``/mcp`` (streamable HTTP, without sessions).

    Hosts, token and limits are those of the section ``web`` of the settings.
    """
    context = _context(settings)
    tools = _server(context).streamable_http_app(
        stateless_http=True,
        json_response=True,
        max_request_body_size=settings.web.max_upload_bytes,
        # The guard checks hosts and origins.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with context.running(), tools.router.lifespan_context(tools):
            yield

    routes: list[BaseRoute] = [
        *health.routes(context),
        Route("/mcp", _no_stream, methods=["GET"]),
        Mount("/", tools),
    ]
    middleware = [Middleware(Guard, settings.web)]
    metrics = RequestMetrics.of(context)
    if metrics is not None:
        routes[:0] = metrics.routes()
        counted = Middleware(Measured, metrics.answered, routes=[*routes, *tools.routes])
        middleware.insert(0, counted)
    return Starlette(routes=routes, middleware=middleware, lifespan=lifespan)


async def _no_stream(request: Request) -> Response:
    """Without sessions there is nothing to tell a client unasked: the SDK would wait for ever."""
    detail = "this server tells nothing by itself; ask by POST"
    return Problem.of_status(405, detail, headers={"allow": "POST"}).response()


def _context(settings: Settings) -> WebContext:
    return WebContext(settings, AsyncVideoSearch.from_settings(settings))


def _server(context: WebContext) -> MCPServer:
    tools = _Tools(context)
    return MCPServer(
        "vidsearch",
        instructions=_INSTRUCTIONS,
        version=__version__,
        log_level="WARNING",
        tools=[
            _strict(Tool.from_function(each, annotations=_READS))
            for each in (tools.search_videos, tools.get_moments, tools.find_similar)
        ],
    )


def _strict(tool: Tool) -> Tool:
    """The tool, which refuses arguments that it does not know and would pass over in silence."""
    about = tool.fn_metadata
    known = about.arg_model
    names = {field.alias or name for name, field in known.model_fields.items()}

    def with_few_unknown(data: dict[str, Any]) -> dict[str, Any]:
        """With one that is unknown, as each is an error of its own, and named in it."""
        unknown = next((name for name in data if name not in names), None)
        kept = {name: data[name] for name in names & data.keys()}
        return kept if unknown is None else {**kept, unknown[:_LONGEST_NAME]: None}

    checked: Any = model_validator(mode="before")(with_few_unknown)
    about.arg_model = create_model(
        known.__name__,
        __base__=known,
        __config__=ConfigDict(extra="forbid"),
        __validators__={"with_few_unknown": checked},
    )
    tool.parameters = about.arg_model.model_json_schema(by_alias=True)
    return tool


def _of(name: str) -> Any:
    """The description of an argument, as that of a search has it."""
    return Field(description=markdown(SearchRequest.model_fields[name].description or ""))


_Text = Annotated[str, Field(description="What is to be seen, such as `a boat at night`.")]
_Videos = Annotated[
    int | None,
    Field(description=f"Number of videos; {_USUAL}, or what the server allows, unless given."),
]
_Id = Annotated[
    str,
    Field(
        min_length=1,
        max_length=_LONGEST_ID,
        description="Id of a video, as search_videos gives it.",
    ),
]
_Object = {"additionalProperties": True, "type": "object"}
_Conditions = Annotated[
    Any,  # checked with the search: here, each item that is wrong would be an error of its own
    WithJsonSchema({"anyOf": [_Object, {"items": _Object, "type": "array"}, {"type": "null"}]}),
    Field(
        description='Conditions on fields, which must all hold: `{"tags": "sport"}`, '
        '`{"year": {"gte": 2020}}`.'
    ),
]


class _Tools:
    """The tools; what their docstrings say is what a model reads."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def search_videos(
        self,
        text: _Text,
        k: _Videos = None,
        skip: Annotated[int, _of("from_")] = 0,
        mode: Annotated[Mode | None, _of("mode")] = None,
        filter: _Conditions = None,
        min_cosine: Annotated[float | None, _of("min_cosine")] = None,
        sort: Annotated[str | None, _of("sort")] = None,
    ) -> VideosFound:
        """Find the videos that show something, best first, each with its best moments."""
        result = await self._found(
            {"from_": "skip"},
            text=text,
            k=self._number(k),
            from_=skip,
            mode=mode,
            filter=filter,
            min_cosine=min_cosine,
            sort=sort,
        )
        return await self._shown(result)

    async def get_moments(
        self,
        id: _Id,
        text: _Text,
        k: Annotated[int, Field(description="Number of moments.")] = _USUAL,
    ) -> MomentsFound:
        """Find the moments of one video that show something, best first."""
        result = await self._found(
            {"moments": "k"}, within=id, text=text, k=1, moments=k, mode="vector"
        )
        if not result.hits:
            raise ToolError(f"there is no video {id!r} that can be searched")
        return MomentsFound.of(result.hits[0])

    async def find_similar(
        self,
        id: _Id,
        at: Annotated[
            float | None, Field(description="Seconds into it: like that, not like the whole video.")
        ] = None,
        k: _Videos = None,
        filter: _Conditions = None,
    ) -> VideosFound:
        """Find videos that look like another one, or like it looks at one time."""
        result = await self._found({"like": "id"}, like=id, at=at, k=self._number(k), filter=filter)
        return await self._shown(result)

    def _number(self, k: int | None) -> int:
        return min(_USUAL, max_k(self._context.settings)) if k is None else k

    async def _found(
        self, names: Mapping[str, str], *, within: str | None = None, **arguments: Any
    ) -> SearchResult:
        """What a search with these arguments finds.

        Args:
            names: what the tool calls those that it calls otherwise.
            within: id of the one video to search in.
            **arguments: of a search.

        Raises:
            ToolError: it is wrong, or did not work.
        """
        context = self._context
        await context.readiness.wait(context.settings.web.timeout)
        try:
            request = request_from_json(arguments, context.settings)
            return await context.find(request, within=within)
        except (VidsearchError, Problem) as error:
            problem = problem_of(error, names=names)
            where = f" ({problem.instance})" if problem.instance else ""
            raise ToolError(problem.detail + where) from error

    async def _shown(self, result: SearchResult) -> VideosFound:
        """What a model has a use for."""
        context = self._context
        plain = await context.shown(result, thumbnail_url=lambda id, moment: None)
        return VideosFound.of(result, plain, context.settings)
