"""The requests of docs/raw-queries.md: searches as plain HTTP, for programs without Python.

The bodies are those that :class:`~vidsearch.VideoSearch` makes for an index with the default
settings. Each follows a comment that names it; ``scripts/generate_docs.py`` runs this.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from vidsearch.config import SearchSettings, Settings
from vidsearch.encoders.identity import ModelIdentity
from vidsearch.engines import EngineInfo, EngineKind, Features, Json
from vidsearch.index.description import description_of
from vidsearch.index.size import IndexSize
from vidsearch.search.checked_filter import CheckedFilter
from vidsearch.search.checked_request import CheckedRequest
from vidsearch.search.native import Cluster
from vidsearch.search.plan import Plan
from vidsearch.search.query_vector import QueryVector
from vidsearch_mappings import index_meta, videos_index

__all__ = ["PAGE", "raw_queries"]

PAGE = Path(__file__).resolve().parent.parent / "docs" / "raw-queries.md"

_VECTOR: Any = "$VECTOR"
_ID = "$IDS"
_WORD = "querywords"
_TEXT = f"the {_WORD}"
"""A text with a stop word, so that the keyword leg has both of its clauses."""
_WIDTH = 100
_VERSIONS: dict[EngineKind, tuple[int, int, int]] = {
    "elasticsearch": (9, 5, 3),
    "opensearch": (2, 19, 1),
}
_ONE_REQUEST: dict[EngineKind, str] = {"elasticsearch": "sum", "opensearch": "native_rrf"}
_WHOLE_INDEX = {"search_type": "dfs_query_then_fetch"}


def raw_queries() -> str:
    """The page with its requests renewed."""
    return re.sub(
        r"(<!-- request: (\w+) (\w+) -->\n)```\n.*?^```\n",
        lambda found: f"{found[1]}```\n{_request(cast(EngineKind, found[2]), found[3])}\n```\n",
        PAGE.read_text(encoding="utf-8"),
        flags=re.DOTALL | re.MULTILINE,
    )


def _request(kind: EngineKind, name: str) -> str:
    """One request as a command of the shell."""
    if name == "videos":
        return _search(_bodies(kind, mode="vector", level="video", k=10)["vector"])
    if name == "segments":
        return _search(_bodies(kind, mode="vector", k=10)["vector"])
    if name == "legs":
        legs = _bodies(kind, content=False)
        return _msearch([({}, legs["vector"]), (_WHOLE_INDEX, legs["keyword"])])
    if name == "page":
        return _search(_plan(kind).page([_ID] * 10)["vector"])
    if name == "fused":
        # Elasticsearch chooses the search type of a kNN search itself; OpenSearch's hybrid query
        # cannot be scored by the whole index.
        return _search(_bodies(kind, fusion=_ONE_REQUEST[kind], k=10)["fused"])
    raise SystemExit(f"{PAGE.name}: no request is called {name!r}")


def _plan(kind: EngineKind, **options: Any) -> Plan:
    index, search = Settings().index, SearchSettings()
    identity = ModelIdentity("model", "1", dims=512, image_size=224)
    meta = index_meta(
        model=identity.to_meta(),
        quantization=index.quantization,
        field=index.field,
        segment_seconds=index.segment_seconds,
    )
    body = videos_index(
        kind,
        dims=identity.dims,
        field=index.field,
        meta=meta,
        quantization=index.quantization,
        shards=index.shards,
        replicas=index.replicas,
        version=_VERSIONS[kind],
    )
    described = description_of(body["mappings"], name=f"{index.name}-000001", alias=index.name)
    described = replace(described, size=IndexSize(videos=1_000, segments=10_000, shards=1))
    features = Features(
        licence=None,
        base64_vectors=None,
        nested_filters=True,
        exact_inner_hits=True,
        retrievers=frozenset(),
        hybrid=frozenset({"rrf"}),
        quantizations=frozenset(),
    )
    checked = CheckedRequest.of(_TEXT, options, settings=search)
    return Plan(
        checked=checked,
        kind=kind,
        cluster=Cluster(EngineInfo(kind, _VERSIONS[kind], "http://localhost:9200"), features),
        index=described,
        vector=QueryVector([_VECTOR]),
        settings=search,
        filter=CheckedFilter.of(checked, described),
    )


def _bodies(kind: EngineKind, *, content: bool = True, **options: Any) -> dict[str, Json]:
    bodies, _ = _plan(kind, **options).bodies(content=content)
    return dict(bodies)


def _search(body: Json) -> str:
    return _curl("_search", "application/json", _pretty(body))


def _msearch(searches: list[tuple[Json, Json]]) -> str:
    lines = [json.dumps(line) for pair in searches for line in pair]
    return _curl("_msearch", "application/x-ndjson", "\n".join(lines))


def _curl(path: str, content_type: str, body: str) -> str:
    command = f"curl -s \"$ENGINE/videos/{path}\" -H 'Content-Type: {content_type}'"
    return f"{command} --data-binary @- <<END\n{_with_variables(body)}\nEND"


def _with_variables(text: str) -> str:
    """With the shell's variables in place of what stood for them."""
    text = text.replace(_TEXT, "$TEXT").replace(_WORD, "$WORDS")
    for name in (_VECTOR, _ID):
        text = re.sub(rf'\[(?:\s*"{re.escape(name)}",?)+\s*\]', name, text)
    return text


def _pretty(value: Any, indent: int = 0) -> str:
    """JSON with as much on a line as fits."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or len(line) + indent <= _WIDTH:
        return line
    pad = " " * (indent + 2)
    if isinstance(value, dict):
        inner = [f"{json.dumps(key)}: {_pretty(each, indent + 2)}" for key, each in value.items()]
        opening, closing = "{", "}"
    else:
        inner = [_pretty(each, indent + 2) for each in value]
        opening, closing = "[", "]"
    lines = ",\n".join(f"{pad}{each}" for each in inner)
    return f"{opening}\n{lines}\n{' ' * indent}{closing}"
