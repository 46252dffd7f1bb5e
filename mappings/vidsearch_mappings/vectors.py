"""How the engines keep vectors: the presets, their fields, and what a query should ask of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from vidsearch_mappings.types import EngineKind, Json, Quantization

__all__ = [
    "EARLY_TERMINATION",
    "EF_CONSTRUCTION",
    "FILTER_HEURISTIC",
    "M",
    "SEARCH_SETTINGS",
    "oversample_of",
    "presets_of",
    "vector_field",
    "vector_settings",
]


M, EF_CONSTRUCTION = 16, 100
"""Of a graph, where nothing else is asked for. Always said explicitly: what an engine takes where
nothing is said has changed between minor versions, and depends on the licence."""

EARLY_TERMINATION = "dense_vector.hnsw_enable_early_termination"
FILTER_HEURISTIC = "dense_vector.hnsw_filter_heuristic"
SEARCH_SETTINGS: dict[str, tuple[tuple[int, int], Any]] = {
    FILTER_HEURISTIC: ((9, 1), "fanout"),
    EARLY_TERMINATION: ((9, 3), False),
}
"""Index settings of Elasticsearch that a graph is searched by, from which version on, and how they
should be; both can be changed at any time. By default it passes over what a filter excludes
(``acorn``), so that recall@10 of 1.5 million vectors was 0.92 behind a filter, and ends a search
before it has seen all candidates (elastic/elasticsearch#130564)."""

_OVERSAMPLE: dict[str, float] = {
    "int8": 1.0,
    "int8_flat": 1.0,
    "int4": 2.0,
    "int4_flat": 2.0,
    "binary": 3.0,
    "binary_flat": 3.0,
    "disk": 3.0,
}

_ELASTICSEARCH: dict[str, Json] = {
    "float": {"type": "hnsw"},
    "int8": {"type": "int8_hnsw"},
    "int4": {"type": "int4_hnsw"},
    "binary": {"type": "bbq_hnsw"},
    "disk": {"type": "bbq_disk"},
    "flat": {"type": "flat"},
    "int8_flat": {"type": "int8_flat"},
    "int4_flat": {"type": "int4_flat"},
    "binary_flat": {"type": "bbq_flat"},
}
_OPENSEARCH = ("float", "int8", "fp16", "binary", "disk", "flat")
_DISK = (9, 2)  # before it, Elasticsearch has no `bbq_disk`
_LEAST_BINARY_DIMS = 65  # "bbq": fewer dims are refused when the index is created


def presets_of(
    kind: EngineKind, *, dims: int | None = None, version: Sequence[int] | None = None
) -> tuple[Quantization, ...]:
    """The presets that an engine knows in a version, and that take vectors of ``dims``.

    Which of them a cluster can really fill depends on its version, licence and libraries.
    """
    known = _ELASTICSEARCH if kind == "elasticsearch" else _OPENSEARCH
    version = tuple(version) if version else None
    return tuple(
        preset
        for preset in get_args(Quantization)
        if preset in known
        and (dims is None or _fits(kind, preset, dims))
        and not (kind == "elasticsearch" and preset == "disk" and version and version < _DISK)
    )


def oversample_of(quantization: str) -> float | None:
    """How many times ``k`` candidates a query should score anew with the exact vectors.

    ``None`` for what is exact, or so near to it that there is nothing to gain.
    """
    return _OVERSAMPLE.get(quantization)


def vector_settings(
    kind: EngineKind, quantization: Quantization, version: Sequence[int] | None = None
) -> Json:
    """The index settings without which the vectors of a preset are not kept, or not found."""
    if kind == "elasticsearch":
        if not _ELASTICSEARCH[quantization]["type"].endswith("hnsw"):
            return {}
        known = tuple(version or ())
        return {name: value for name, (since, value) in SEARCH_SETTINGS.items() if known >= since}
    settings: Json = {"knn": True}
    if quantization == "flat":
        settings["knn.advanced.approximate_threshold"] = -1
    return settings


def vector_field(
    kind: EngineKind,
    *,
    dims: int,
    quantization: Quantization,
    m: int = M,
    ef_construction: int = EF_CONSTRUCTION,
    version: Sequence[int] | None = None,
) -> Json:
    """One ``dense_vector`` or ``knn_vector`` of unit vectors, compared by cosine.

    Args:
        kind: which engine.
        dims: length of a vector.
        quantization: how the engine keeps it.
        m: neighbours of a vector in the graph, where there is one.
        ef_construction: candidates among which they are looked for.
        version: of the engine; ``None`` for the oldest that is supported.

    Raises:
        ValueError: an unknown kind or preset, a preset of the other engine, or one that does not
            take so many dims; the message names those that work.
    """
    if kind not in get_args(EngineKind):
        raise ValueError(f"unknown engine {kind!r}")
    if quantization not in get_args(Quantization):
        raise ValueError(f"unknown quantization {quantization!r}")
    known = presets_of(kind)
    if quantization not in known:
        raise ValueError(f"{kind} has no quantization {quantization!r}; it has {', '.join(known)}")
    if not _fits(kind, quantization, dims):
        why = "an even number of dims" if "int4" in quantization else "more than 64 dims"
        fitting = ", ".join(presets_of(kind, dims=dims))
        raise ValueError(
            f"quantization {quantization!r} takes {why}, not {dims}; "
            f"with {dims} there are {fitting}"
        )
    graph: Json = {"m": m, "ef_construction": ef_construction}
    if kind == "elasticsearch":
        return _dense_vector(dims, quantization, graph)
    return _knn_vector(dims, quantization, graph, tuple(version or (2, 19)))


def _fits(kind: EngineKind, quantization: str, dims: int) -> bool:
    if kind == "opensearch":
        return True
    if quantization in {"int4", "int4_flat"}:
        return dims % 2 == 0
    return quantization not in {"binary", "binary_flat", "disk"} or dims >= _LEAST_BINARY_DIMS


def _dense_vector(dims: int, quantization: Quantization, graph: Json) -> Json:
    options = dict(_ELASTICSEARCH[quantization])
    if options["type"].endswith("hnsw"):
        options |= graph
    if "bbq" in options["type"]:
        # For queries of other programs; vidsearch asks for it itself.
        options["rescore_vector"] = {"oversample": _OVERSAMPLE[quantization]}
    return {
        "type": "dense_vector",
        "dims": dims,
        "index": True,
        "similarity": "cosine",
        "index_options": options,
    }


def _knn_vector(
    dims: int, quantization: Quantization, graph: Json, version: tuple[int, ...]
) -> Json:
    parameters = dict(graph)
    if quantization == "int8":
        parameters["encoder"] = {"name": "sq", "parameters": {"bits": 7}}
    elif quantization == "fp16":
        # From 3.6 the number of bits must be said.
        sq = {"type": "fp16"} if version < (3, 6) else {"bits": 16}
        parameters["encoder"] = {"name": "sq", "parameters": sq}
    field: Json = {"type": "knn_vector", "dimension": dims}
    if quantization in {"binary", "disk"}:
        # The graph is kept in memory in either mode. This one scores what it finds there anew with
        # the exact vectors, for the queries that others write too: the other one answers them with
        # a score of differing bits, which is no cosine.
        field["mode"] = "on_disk"
        field["compression_level"] = "32x"
    field["method"] = {
        "name": "hnsw",
        # Only faiss takes the threshold of `flat`; its native library is not needed for it.
        "engine": "lucene" if quantization in {"float", "int8"} else "faiss",
        "space_type": "cosinesimil",
        "parameters": parameters,
    }
    return field
