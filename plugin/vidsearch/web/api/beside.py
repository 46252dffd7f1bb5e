"""What the server answers beside the API: files of videos, for players; probes; metrics."""

from __future__ import annotations

from vidsearch.web.api.answers import READ, Json, problems
from vidsearch.web.metrics import has_metrics

__all__ = ["files", "probes"]


def files() -> Json:
    """Videos and the pictures of their moments, as players and pages ask for them."""
    to_login: Json = {"303": {"description": "Whoever accepts HTML is sent to sign in."}}
    whole = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
    return {
        "/video/{id}": {
            "get": {
                "operationId": "videoFile",
                "summary": "The file of a video, whole or in ranges",
                "parameters": [_in_path("id", "Of the video.")],
                "responses": {
                    "200": {"description": "The file.", "content": {"video/*": whole}},
                    "206": {
                        "description": "The ranges that `Range` asks for.",
                        "content": {"video/*": whole, "multipart/byteranges": whole},
                    },
                    **to_login,
                    "304": {"description": "The client has it already (`If-None-Match`)."},
                    "307": {"description": "It lies on another server, which `Location` names."},
                    **problems(*READ, 403, 404, 416, 422),
                },
            }
        },
        "/thumbnail/{key}": {
            "get": {
                "operationId": "thumbnail",
                "summary": "The picture of a moment, by the path that the moment has",
                "parameters": [_in_path("key", "Of the picture.")],
                "responses": {
                    "200": {
                        "description": "The picture.",
                        "content": {"image/jpeg": whole, "image/webp": whole},
                    },
                    **to_login,
                    **problems(*READ, 404),
                },
            }
        },
    }


def _in_path(name: str, told: str) -> Json:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": told,
        "schema": {"type": "string", "minLength": 1},
    }


def probes() -> Json:
    """What needs no token, for whatever watches the server; and the metrics."""
    state = {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["status"],
                "properties": {"status": {"enum": ["alive", "ready"]}},
            }
        }
    }
    paths: Json = {
        "/healthz": {
            "get": {
                "operationId": "alive",
                "summary": "Whether the server is alive",
                "security": [],
                "responses": {"200": {"description": "It is.", "content": state}},
            }
        },
        "/readyz": {
            "get": {
                "operationId": "ready",
                "summary": "Whether texts and images can be embedded",
                "security": [],
                "responses": {
                    "200": {"description": "They can: the model is loaded.", "content": state},
                    **problems(503),
                },
            }
        },
    }
    if has_metrics():
        paths["/metrics"] = {
            "get": {
                "operationId": "metrics",
                "summary": "What the server counts, for Prometheus",
                "responses": {
                    "200": {
                        "description": "Metrics as text.",
                        "content": {"text/plain": {"schema": {"type": "string"}}},
                    },
                    **problems(*READ),
                },
            }
        }
    return paths
