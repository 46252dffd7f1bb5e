"""From a version, a licence and plugins to what a cluster can do. Nothing in here asks anything."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from vidsearch.engines.base import Features

__all__ = [
    "elasticsearch_features",
    "licence_of",
    "opensearch_features",
    "plugins_of",
]

Version = tuple[int, int, int]

_COMPLETE = frozenset({"enterprise", "trial"})
"""Licences with everything; ``platinum`` lost the native fusions before 8.19."""

# -- Elasticsearch. Where a version stands for a release note or a pull request, it is named.

_RETRIEVERS: dict[Literal["rrf", "linear"], Version] = {"rrf": (8, 16, 0), "linear": (8, 18, 0)}
_NESTED_FILTERS: Version = (9, 2, 0)  # release notes of 9.2
_BASE64: Version = (9, 3, 0)  # elastic/elasticsearch#137072
_DISK: Version = (9, 2, 0)  # `bbq_disk`; writes are checked for the licence, #139087

_ELASTICSEARCH: dict[str, Version] = {
    "float": (8, 0, 0),
    "flat": (8, 13, 0),
    "int8": (8, 12, 0),
    "int8_flat": (8, 13, 0),
    "int4": (8, 15, 0),
    "int4_flat": (8, 15, 0),
    "binary": (8, 18, 0),
    "binary_flat": (8, 18, 0),
}

# -- OpenSearch

_HYBRID: dict[Literal["min_max", "z_score", "rrf"], Version] = {
    "min_max": (2, 13, 0),  # with an inline pipeline
    "rrf": (2, 19, 0),
    "z_score": (3, 0, 0),
}
_BASE64_OPENSEARCH: Version = (3, 9, 0)  # by the label of the change in k-NN, not tried
_NEURAL = frozenset({"opensearch-neural-search", "org.opensearch.neuralsearch.plugin.NeuralSearch"})
_KNN = "opensearch-knn"
"""A plugin that was installed, which brings the native library. A node put together from jars
lists the plugin by its class alone, and has none. (Statistics say nothing: ``faiss_initialized``
is false everywhere until faiss was first used.)"""
_LUCENE = frozenset({"float", "int8", "flat"})
"""Presets without the native library; ``flat`` never builds the graph that it names."""
_FAISS = frozenset({"fp16", "binary", "disk"})


def elasticsearch_features(version: Version, *, licence: str | None) -> Features:
    """What Elasticsearch of this version can do.

    Args:
        version: of the node that was asked.
        licence: its type, ``None`` where the cluster does not say: then no native fusion.
    """
    complete = licence in _COMPLETE
    presets = {name for name, since in _ELASTICSEARCH.items() if version >= since}
    if complete and version >= _DISK:
        presets.add("disk")
    retrievers = {name for name, since in _RETRIEVERS.items() if complete and version >= since}
    return Features(
        licence=licence,
        base64_vectors="big" if version >= _BASE64 else None,
        nested_filters=version >= _NESTED_FILTERS,
        retrievers=frozenset(retrievers),
        hybrid=frozenset(),
        quantizations=frozenset(presets),
    )


def opensearch_features(version: Version, *, plugins: Collection[str] | None) -> Features:
    """What OpenSearch of this version can do.

    Args:
        version: of the node that was asked.
        plugins: names of the plugins; ``None`` where the cluster does not say: then those of the
            usual distribution.
    """
    neural = plugins is None or not _NEURAL.isdisjoint(plugins)
    faiss = plugins is None or _KNN in plugins
    hybrid = {name for name, since in _HYBRID.items() if neural and version >= since}
    return Features(
        licence=None,
        base64_vectors="little" if version >= _BASE64_OPENSEARCH else None,
        nested_filters=True,
        retrievers=frozenset(),
        hybrid=frozenset(hybrid),
        quantizations=_LUCENE | _FAISS if faiss else _LUCENE,
    )


def licence_of(status: int, body: Any) -> str | None:
    """The licence's type in an answer of ``GET /_license``, ``expired``, or ``None``.

    A node without the endpoint, a user without the right and a node in trouble all say nothing.
    """
    licence = body.get("license") if status == 200 and isinstance(body, dict) else None
    if not isinstance(licence, dict) or not isinstance(licence.get("type"), str):
        return None
    active = licence.get("status", "active") == "active"
    kind: str = licence["type"]
    return kind if active else "expired"


def plugins_of(status: int, body: Any) -> frozenset[str] | None:
    """Names and classes of the plugins of all nodes, in an answer of ``GET /_nodes/plugins``.

    ``None`` where it says nothing: no right, no endpoint, or a service that keeps it to itself.
    """
    nodes = body.get("nodes") if status == 200 and isinstance(body, dict) else None
    if not isinstance(nodes, dict):
        return None
    plugins = [plugin for node in nodes.values() for plugin in node.get("plugins", ())]
    words = (plugin.get(word) for plugin in plugins for word in ("name", "classname"))
    return frozenset(word for word in words if word) or None
