"""From a version, a licence and plugins to what a cluster can do. Nothing in here asks anything."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, get_args

from vidsearch.engines.types import Features
from vidsearch.engines.vectors import BYTE_ORDERS
from vidsearch_mappings.fusions import Hybrid, Retriever
from vidsearch_mappings.vectors import presets_of

__all__ = [
    "elasticsearch_features",
    "is_opensearch",
    "licence_of",
    "opensearch_features",
    "plugins_of",
]

Version = tuple[int, int, int]

_COMPLETE = frozenset({"enterprise", "trial"})
"""Licences with everything; ``platinum`` lost the native fusions before 8.19."""

# Of a release note or a pull request, which is named. What the oldest supported versions have is
# not among them.
_NESTED_FILTERS: Version = (9, 2, 0)  # release notes of 9.2
_ROUGH_INNER_HITS: tuple[Version, Version] = ((9, 0, 0), (9, 5, 0))
"""From and before. Tried: 9.2.2 scores them with the quantized vectors, 8.19.21 and 9.5.3 with the
exact ones. What lies between was not all tried, and is not relied on."""
_BASE64: Version = (9, 3, 0)  # elastic/elasticsearch#137072
_Z_SCORE: Version = (3, 0, 0)
_BASE64_OPENSEARCH: Version = (3, 9, 0)  # by the label of the change in k-NN, not tried
_NEURAL = frozenset({"opensearch-neural-search", "org.opensearch.neuralsearch.plugin.NeuralSearch"})
_KNN = "opensearch-knn"
"""A plugin that was installed, which brings the native library. A node put together from jars
lists the plugin by its class alone, and has none. (Statistics say nothing: ``faiss_initialized``
is false everywhere until faiss was first used.)"""
_LUCENE = frozenset({"float", "int8", "flat"})
"""Presets without the native library; ``flat`` never builds the graph that it names."""
_TAGLINE = "The OpenSearch Project"


def is_opensearch(root: Any) -> bool:
    """Whether OpenSearch gave this answer of ``GET /``.

    With ``compatibility.override_main_response_version``, as in the compatibility mode of AWS, it
    names no distribution, and a version of Elasticsearch.
    """
    version = root.get("version") if isinstance(root, dict) else None
    if not isinstance(version, dict):
        return False
    named = version.get("distribution") == "opensearch"
    return named or str(root.get("tagline")).startswith(_TAGLINE)


def elasticsearch_features(version: Version, *, licence: str | None) -> Features:
    """What Elasticsearch of this version can do.

    Args:
        version: of the node that was asked.
        licence: its type, ``None`` where the cluster does not say: then no native fusion.
    """
    complete = licence in _COMPLETE
    presets = frozenset(presets_of("elasticsearch", version=version))
    return Features(
        licence=licence,
        base64_vectors=BYTE_ORDERS["elasticsearch"] if version >= _BASE64 else None,
        nested_filters=version >= _NESTED_FILTERS,
        exact_inner_hits=not _ROUGH_INNER_HITS[0] <= version < _ROUGH_INNER_HITS[1],
        retrievers=frozenset(get_args(Retriever) if complete else ()),
        hybrid=frozenset(),
        # Writes are checked for the licence (elastic/elasticsearch#139087).
        quantizations=presets if complete else presets - {"disk"},
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
    hybrid: frozenset[Hybrid] = frozenset(get_args(Hybrid) if neural else ())
    return Features(
        licence=None,
        base64_vectors=BYTE_ORDERS["opensearch"] if version >= _BASE64_OPENSEARCH else None,
        nested_filters=True,
        exact_inner_hits=True,
        retrievers=frozenset(),
        hybrid=hybrid if version >= _Z_SCORE else hybrid - {"z_score"},
        quantizations=frozenset(presets_of("opensearch")) if faiss else _LUCENE,
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
