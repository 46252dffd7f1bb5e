"""How well a model and an index find: tables over pairs, judged searches, reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidsearch.lazy import imported_late

if TYPE_CHECKING:
    from vidsearch.evaluation.embed import EmbeddedPairs, embed_pairs
    from vidsearch.evaluation.files import VideoFiles
    from vidsearch.evaluation.formats import read_keys, read_pairs
    from vidsearch.evaluation.pairs import LeftOut, Pairs
    from vidsearch.evaluation.table import PairRow, pair_rows
    from vidsearch.evaluation.variants import Variant
    from vidsearch.evaluation.vectors import PairVectors, read_vectors

__all__ = [
    "EmbeddedPairs",
    "LeftOut",
    "PairRow",
    "PairVectors",
    "Pairs",
    "Variant",
    "VideoFiles",
    "embed_pairs",
    "pair_rows",
    "read_keys",
    "read_pairs",
    "read_vectors",
]

__getattr__, __dir__ = imported_late(
    __name__,
    {
        "EmbeddedPairs": "vidsearch.evaluation.embed",
        "LeftOut": "vidsearch.evaluation.pairs",
        "PairRow": "vidsearch.evaluation.table",
        "PairVectors": "vidsearch.evaluation.vectors",
        "Pairs": "vidsearch.evaluation.pairs",
        "Variant": "vidsearch.evaluation.variants",
        "VideoFiles": "vidsearch.evaluation.files",
        "embed_pairs": "vidsearch.evaluation.embed",
        "pair_rows": "vidsearch.evaluation.table",
        "read_keys": "vidsearch.evaluation.formats",
        "read_pairs": "vidsearch.evaluation.formats",
        "read_vectors": "vidsearch.evaluation.vectors",
    },
)
