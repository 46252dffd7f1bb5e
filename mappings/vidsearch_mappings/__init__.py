"""Index and query bodies of vidsearch: pure functions from values to JSON.

No client and no numpy here: whoever wants to see what is sent to the engine, or send it with
another client, imports this and nothing else.
"""

from __future__ import annotations

from vidsearch_mappings.fusions import hybrid_query, retriever_query, sum_query
from vidsearch_mappings.meta import LAYOUT, IndexMeta, MetaError, index_meta, read_meta
from vidsearch_mappings.queries import keyword_query, vector_query
from vidsearch_mappings.registry import registry_index
from vidsearch_mappings.scores import cosine_from_score, similarity_of
from vidsearch_mappings.videos import videos_index

__all__ = [
    "LAYOUT",
    "IndexMeta",
    "MetaError",
    "cosine_from_score",
    "hybrid_query",
    "index_meta",
    "keyword_query",
    "read_meta",
    "registry_index",
    "retriever_query",
    "similarity_of",
    "sum_query",
    "vector_query",
    "videos_index",
]
