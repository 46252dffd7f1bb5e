"""What the blocks of the docs find on a real node: settings in the environment, and an index."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from tests.search_index import make_videos

from vidsearch.config import IngestSettings, ModelSettings
from vidsearch.engines import Engine, Write
from vidsearch.index import create_videos_index
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import Services, configured

__all__ = [
    "DIMS",
    "an_index_of_an_application",
    "encoder",
    "index_of_videos",
    "services_in_force",
    "set_settings",
]

DIMS = 512
"""As the default model, and the vector that docs/engines.md writes."""


def encoder(model: ModelSettings, ingest: IngestSettings) -> FakeEncoder:
    """What ``model.encoder`` names."""
    return FakeEncoder(dims=DIMS)


def set_settings(
    monkeypatch: pytest.MonkeyPatch, sections: Mapping[str, Mapping[str, Any]]
) -> None:
    """As variables, as a person would set them."""
    for section, values in sections.items():
        for name, value in values.items():
            text = value if isinstance(value, str) else json.dumps(value)
            monkeypatch.setenv(f"VIDSEARCH_{section}__{name}".upper(), text)


@contextmanager
def services_in_force(monkeypatch: pytest.MonkeyPatch, **given: Any) -> Iterator[Services]:
    """Those that the environment names, as functions take them that are given none."""
    with Services(**given) as services:
        monkeypatch.setattr(configured, "_current", services)
        yield services


def index_of_videos(services: Services) -> None:
    """Twenty-four videos with the fields that pages filter, sort and group by, and ``clip-42``."""
    create_videos_index(services.engine, services.settings.index, services.encoder.identity)
    videos = [(video.id, video) for video in make_videos(24, dims=DIMS)]
    writes = [
        Write("index", id, {**video.document("video"), **_fields(at, video.fields)})
        for at, (id, video) in enumerate([*videos, ("clip-42", videos[0][1])])
    ]
    services.engine.bulk(services.settings.index.name, writes, refresh=True)


def _fields(at: int, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": fields["title"] + (" and a boat" if at % 2 else ""),
        "series": f"series {at % 3}",
        "tags": ["harbour", *fields["tags"]],
        "year": 2024 - at % 3,
    }


def an_index_of_an_application(engine: Engine, name: str) -> None:
    """Documents with a URL and no vectors."""
    properties = {"media": {"properties": {"url": {"type": "keyword"}}}, "title": {"type": "text"}}
    engine.create_index(name, {"mappings": {"properties": properties}})
    documents = [(id, {"title": id, "media": {"url": f"/videos/{id}.mp4"}}) for id in "abc"]
    engine.bulk(name, [Write("index", id, document) for id, document in documents], refresh=True)
