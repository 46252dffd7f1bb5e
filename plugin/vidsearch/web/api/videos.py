"""Registering videos over HTTP, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vidsearch.errors import SourceForbiddenError, VideoError
from vidsearch.json_values import MAX_LEVELS, is_deep, quoted, to_json_value
from vidsearch.web.api.bodies import json_answer, json_body
from vidsearch.web.context import WebContext
from vidsearch.web.problems import Problem
from vidsearch.web.public import public_fields
from vidsearch.web.rest_of_path import REST
from vidsearch_mappings.registry import Priority, State, VideoRecord

if TYPE_CHECKING:
    from vidsearch.config import Settings

__all__ = ["NewVideoBody", "PublicVideo", "routes"]


class NewVideoBody(BaseModel):
    """A video to register."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: str = Field(min_length=1, description="The application's own id of the video.")
    uri: str = Field(
        min_length=1,
        description="URL of the video, as the workers can reach it and the settings (`sources`) "
        "allow it. A path of the workers' machines only below `sources.roots`, and an object in a "
        "bucket only where `sources.hosts` names that.",
    )
    fields: dict[str, Any] | None = Field(
        None,
        description="Fields of the document: title, tags, …; none in an attached index. Without "
        "them those of a video that is registered already stay as they are.",
    )
    routing: str | None = Field(
        None, description="Routing of the application's document, in an attached index."
    )
    priority: Priority = Field("interactive", description="Whether somebody waits for it.")


@dataclass(frozen=True)
class PublicVideo:
    """A video of the registry, without its URI."""

    id: str
    state: State
    priority: Priority
    attempts: int
    error: str | None
    """Class of the error of the last attempt."""
    fields: Mapping[str, Any]
    duration: float | None
    segments: int | None
    registered_at: str
    updated_at: str
    indexed_at: str | None

    @classmethod
    def of(cls, record: VideoRecord, settings: Settings) -> PublicVideo:
        """What clients may know of a record."""
        shown = record.to_json()
        return cls(
            id=record.id,
            state=record.state,
            priority=record.priority,
            attempts=record.attempts,
            error=record.error.type if record.error else None,
            fields=public_fields(record.fields, settings, uri=record.uri),
            duration=record.duration,
            segments=record.segments,
            registered_at=shown["registered_at"],
            updated_at=shown["updated_at"],
            indexed_at=shown["indexed_at"],
        )


def routes(context: WebContext) -> list[Route]:
    """``/api/videos`` and ``/api/videos/{id}``."""
    settings = context.settings

    def answer(record: VideoRecord) -> Response:
        status = 200 if record.state is State.INDEXED else 202
        return json_answer(to_json_value(PublicVideo.of(record, settings)), status)

    async def show(request: Request) -> Response:
        id = request.path_params["id"]
        record = await context.ask_registry(lambda: context.record(id))
        return json_answer(to_json_value(PublicVideo.of(record, settings)))

    async def register(request: Request) -> Response:
        if not settings.web.allow_writes:
            raise Problem.of_status(
                403, "this server registers no videos; the setting web.allow_writes is false"
            )
        body = _checked(await json_body(request))
        return answer(await context.ask_registry(lambda: _register(body, context)))

    return [
        Route("/api/videos", register, methods=["POST"]),
        Route(f"/api/videos/{{id:{REST}}}", show, methods=["GET"]),
    ]


def _register(body: NewVideoBody, context: WebContext) -> VideoRecord:
    from vidsearch_tasks import register_video

    _require_allowed(body.uri, context.settings)  # which looks at folders, perhaps of a network
    return register_video(
        body.id,
        uri=body.uri,
        fields=body.fields,
        routing=body.routing,
        priority=body.priority,
        services=context.services,
    )


def _checked(data: Any) -> NewVideoBody:
    if is_deep(data):
        raise _wrong(
            f"the body has more than {MAX_LEVELS} lists and objects inside each other", None
        )
    for name in data if isinstance(data, Mapping) else ():
        if name not in NewVideoBody.model_fields:  # each would be an error of its own
            argument = name if quoted(name) == repr(name) else None
            raise _wrong(f"a video to register has no {quoted(name)}", argument)
    try:
        return NewVideoBody.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][0]) if first["loc"] else None
        raise _wrong(f"{name or 'the body'}: {first['msg']}", name) from error


def _require_allowed(uri: str, settings: Settings) -> None:
    """Refuse a URI that the settings let no client register.

    The workers check again what they read, by the addresses of hosts as well.
    """
    from vidsearch.media.sources.listed import require_listed, rule_for

    try:
        require_listed(uri, settings.sources, from_client=True)
    except SourceForbiddenError as error:  # its message tells what is allowed
        rule = rule_for(uri, settings.sources)
        raise _wrong(f"uri is not allowed by the settings: {rule}", "uri") from error
    except VideoError as error:
        raise _wrong(f"uri: {error}", "uri") from error


def _wrong(detail: str, argument: str | None) -> Problem:
    return Problem.of_status(422, detail, argument=argument)
