"""The answers of the API as OpenAPI describes them."""

from __future__ import annotations

from typing import Any

from vidsearch.web.problems import PROBLEM_JSON

__all__ = ["PROBLEM", "READ", "REFERENCE", "Json", "answer", "at", "problems"]

Json = dict[str, Any]

REFERENCE = "#/components/schemas/{model}"
READ = (401, 413, 421, 500, 503)
"""Statuses of problems that whatever is read may be answered with."""
_STATUSES = {
    400: "The request cannot be read.",
    401: "A token is needed, or the one given is wrong.",
    403: "A page of another site sent the request, this server takes no writes, or pages may not "
    "load from where the video lies.",
    404: "There is no such video, or no such file.",
    408: "The body came too slowly.",
    409: "Somebody else changed it at the same moment.",
    413: "The body has too many bytes.",
    415: "The body is of another media type, or compressed.",
    416: "The file has no such bytes.",
    421: "The server is not called by that name.",
    422: "An argument is wrong; `argument` names it, `detail` says how.",
    500: "An error of the server.",
    503: "Search engine, model or broker are away, or are not set up right.",
}
PROBLEM = {
    "type": "object",
    "description": "Problem details (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "argument": {"type": "string", "description": "Name of the argument at fault."},
        "instance": {
            "type": "string",
            "format": "uri-reference",
            "description": "Where an error was logged for this request: what names it in the log.",
        },
    },
}


def answer(told: str, schema: str) -> Json:
    """One of JSON, by the name of its schema."""
    return {
        "description": told,
        "content": {"application/json": {"schema": {"$ref": at(schema)}}},
    }


def problems(*statuses: int) -> Json:
    """Those of what goes wrong, by status."""
    answers: Json = {}
    for status in sorted(statuses):
        answers[str(status)] = {
            "description": _STATUSES[status],
            "content": {PROBLEM_JSON: {"schema": {"$ref": at("Problem")}}},
        }
        if status == 503:
            answers["503"]["headers"] = {
                "Retry-After": {
                    "description": "Seconds, where it may pass by itself.",
                    "schema": {"type": "integer"},
                }
            }
    return answers


def at(schema: str) -> str:
    """The reference to a schema."""
    return REFERENCE.format(model=schema)
