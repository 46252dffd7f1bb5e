"""The description of the API in OpenAPI 3.1, made from the classes that it takes and gives.

A field that ``SearchRequest`` or ``SearchResult`` gains is in it by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter

from vidsearch import __version__
from vidsearch.config import Settings
from vidsearch.search import SearchRequest, SearchResult
from vidsearch.web.api.answers import PROBLEM, READ, REFERENCE, Json, answer, at, problems
from vidsearch.web.api.beside import files, probes
from vidsearch.web.api.searching import FORM, NOT_IN_SIMILAR
from vidsearch.web.api.status import PublicStatus
from vidsearch.web.api.videos import NewVideoBody, PublicVideo
from vidsearch.web.described import markdown
from vidsearch.web.limits import default_k, max_k
from vidsearch.web.problems import HTTP_NAMES

__all__ = ["description"]


def description(settings: Settings) -> Json:
    """The whole document, with the limits of these settings."""
    schemas: Json = {"Problem": PROBLEM}
    request = _request(settings, schemas)
    for name, kind in (
        ("SearchResult", SearchResult),
        ("Video", PublicVideo),
        ("Status", PublicStatus),
    ):
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
        schema = adapter.json_schema(mode="serialization", ref_template=REFERENCE)
        schemas |= schema.pop("$defs", {})
        schemas[name] = schema
    schemas["Moment"]["properties"]["thumbnail"]["description"] = (
        "Path on this server of a picture of it; `null` where there is none."
    )
    schemas["Vector"] = {
        "type": "object",
        "required": ["vector"],
        "properties": {"vector": {"type": "array", "items": {"type": "number"}}},
    }
    schemas["NewVideo"] = NewVideoBody.model_json_schema(ref_template=REFERENCE)
    schemas["SearchRequest"] = request
    document: Json = {
        "openapi": "3.1.0",
        "info": {
            "title": "vidsearch",
            "version": __version__,
            "description": "Search videos by what is to be seen in them.",
        },
        "paths": {**_paths(request), **files(), **probes()},
        "components": {"schemas": {name: _told(each) for name, each in schemas.items()}},
    }
    if settings.web.token is not None:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document


def _request(settings: Settings, schemas: Json) -> Json:
    """The schema of a search request, with what holds for clients; adds what it refers to."""
    schema = SearchRequest.model_json_schema(ref_template=REFERENCE)
    schemas |= schema.pop("$defs", {})
    properties = schema["properties"]
    del properties["clip"]
    greatest = max_k(settings)
    properties["k"] |= {
        "maximum": greatest,
        "default": default_k(settings),
        "description": f"Number of hits, up to {greatest}.",
    }
    properties["from"] |= {
        "maximum": settings.search.window - 1,
        "description": "Hits to pass over first, for the next page; with `k` at most "
        f"{settings.search.window}.",
    }
    properties["text"]["anyOf"][0]["maxLength"] = settings.web.max_text
    properties["image"] = {
        "type": "string",
        "contentEncoding": "base64",
        "description": "A file of JPEG, PNG, WebP, GIF or AVIF, in base64. A form uploads it.",
    }
    properties["filter"]["description"] = (
        'Conditions on fields, which must all hold: `{"tags": "sport"}`, `{"tags": ["a", "b"]}` '
        '(either), `{"year": {"gte": 2020}}`, `{"licence": {"exists": true}}`.'
    )
    properties["fusion"]["description"] = (
        "How the legs of `hybrid` are fused; default: the setting `search.fusion`."
    )
    schema["description"] = "A search. Give a text, an image, a vector or `like`."
    told: Json = _told(schema)
    for each in told["properties"].values():
        for ours, theirs in HTTP_NAMES.items():
            each["description"] = each["description"].replace(f"`{ours}`", f"`{theirs}`")
    return told


def _paths(request: Json) -> Json:
    form = {**request["properties"], "image": {"type": "string", "format": "binary"}}
    found = answer("The videos that were found, best first.", "SearchResult")
    return {
        "/api/search": {
            "get": {
                "operationId": "search",
                "summary": "Search videos by text, vector or another video",
                "parameters": list(_parameters(request, without={"image"})),
                "responses": {"200": found, **problems(*READ, 422)},
            },
            "post": {
                "operationId": "searchPosted",
                "summary": "Search videos; by an image as well",
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": {"$ref": at("SearchRequest")}},
                        FORM: {
                            "schema": {
                                "type": "object",
                                "properties": {
                                    name: _told(_without_null(each)) for name, each in form.items()
                                },
                            },
                            "encoding": {
                                name: {"contentType": "application/json"}
                                for name, each in form.items()
                                if not _is_plain(_without_null(each))
                            },
                        },
                    },
                },
                "responses": {
                    "200": found,
                    **problems(400, 401, 403, 408, 413, 415, 421, 422, 500, 503),
                },
            },
        },
        "/api/similar": {
            "get": {
                "operationId": "similar",
                "summary": "Videos like another one",
                "parameters": list(_parameters(request, without=NOT_IN_SIMILAR, required={"like"})),
                "responses": {"200": found, **problems(*READ, 422)},
            }
        },
        "/api/embed": {
            "get": {
                "operationId": "embed",
                "summary": "The vector of a text, for a query of your own",
                "parameters": [
                    {
                        "name": "text",
                        "in": "query",
                        "required": True,
                        "schema": {"minLength": 1, **_without_null(request["properties"]["text"])},
                    }
                ],
                "responses": {
                    "200": answer("A vector of unit length, as the index holds them.", "Vector"),
                    **problems(*READ, 422),
                },
            }
        },
        "/api/videos": {
            "post": {
                "operationId": "register",
                "summary": "Register a video, which a worker then ingests",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": at("NewVideo")}}},
                },
                "responses": {
                    "200": answer("It is indexed already, with the same file.", "Video"),
                    "202": answer("It waits for a worker.", "Video"),
                    **problems(400, 401, 403, 408, 409, 413, 415, 421, 422, 500, 503),
                },
            }
        },
        "/api/videos/{id}": {
            "get": {
                "operationId": "video",
                "summary": "Where a video stands",
                "parameters": [
                    {
                        "name": "id",
                        "in": "path",
                        "required": True,
                        "schema": {"type": "string", "minLength": 1},
                    }
                ],
                "responses": {
                    "200": answer("The video.", "Video"),
                    **problems(*READ, 404, 422),
                },
            }
        },
        "/api/status": {
            "get": {
                "operationId": "status",
                "summary": "How ingestion is doing",
                "responses": {
                    "200": answer("Numbers, at most some seconds old.", "Status"),
                    **problems(*READ),
                },
            }
        },
    }


def _parameters(
    request: Json, *, without: frozenset[str] | set[str], required: set[str] | None = None
) -> Iterator[Json]:
    """The arguments of a search in a query string."""
    for name, schema in request["properties"].items():
        if name in without:
            continue
        schema = _without_null(schema)
        told = schema.pop("description", "")
        as_text = {"schema": schema}
        as_json = {"content": {"application/json": {"schema": schema}}}
        yield {
            "name": name,
            "in": "query",
            "required": name in (required or ()),
            "description": told,
            **(as_text if _is_plain(schema) else as_json),
        }


def _is_plain(schema: Json) -> bool:
    """Whether a text stands for a value of it; others are JSON in a query string or form."""
    each = schema.get("anyOf", [schema])
    plain = ("string", "integer", "number", "boolean")
    return all("enum" in one or one.get("type") in plain for one in each)


def _without_null(schema: Json) -> Json:
    """Of an argument that is left out where there is no value, unless that is not its default."""
    if schema.get("default") is not None:
        return dict(schema)
    others = {name: value for name, value in schema.items() if name not in {"anyOf", "default"}}
    each = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if not each:
        return others
    return {**others, **each[0]} if len(each) == 1 else {**others, "anyOf": each}


def _told(schema: Any) -> Any:
    """The schema with descriptions in Markdown, and without titles that repeat a name."""
    if isinstance(schema, list):
        return [_told(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    told: Json = {}
    for name, value in schema.items():
        if name == "description" and isinstance(value, str):
            told[name] = markdown(value)
        elif name == "title" and isinstance(value, str):
            continue
        elif name == "properties":
            told[name] = {each: _told(inner) for each, inner in value.items()}
        else:
            told[name] = _told(value)
    return told
