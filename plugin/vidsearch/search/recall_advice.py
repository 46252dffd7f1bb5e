"""What was measured, and what to change where searches find too little."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vidsearch.engines import Engine
from vidsearch.errors import BackendError
from vidsearch.index.videos_index import VideosIndex
from vidsearch_mappings.diff import flattened
from vidsearch_mappings.queries import Level
from vidsearch_mappings.vectors import EARLY_TERMINATION, M, oversample_of

__all__ = ["MANY_TIED", "Recall", "advice"]

MANY_TIED = 0.02
"""Share of vectors with many equal ones from which on a graph may be poor for all searches."""


@dataclass(frozen=True, slots=True)
class Recall:
    """What searches find with one number of candidates, and how long they take."""

    level: Level
    num_candidates: int
    present: bool
    """Whether it is what the settings ask for now."""
    recall: float
    """Share of the ``k`` nearest videos that are found."""
    p50: float
    """Milliseconds."""
    p95: float
    tied: float = 0.0
    """Share of the vectors searched for that more than ``k`` videos are equally near to, as those
    with the same vectors are."""


def advice(
    engine: Engine, index: VideosIndex, measured: Sequence[Recall], *, target: float, k: int
) -> Iterator[str]:
    """One sentence for each level, and one for what the index itself lacks.

    The numbers of a level are in their order, and one of them is the present one.
    """
    short = False
    for level in dict.fromkeys(each.level for each in measured):
        tried = [each for each in measured if each.level == level]
        present = next(each for each in tried if each.present)
        found = f"{level}: recall@{k} is {present.recall:.3f}"
        enough = [each for each in tried if each.recall >= target]
        if present in enough:
            yield f"{found}, at least {target:g}: nothing to change"
        elif enough:
            least = enough[0]
            yield (
                f"{found}, less than {target:g}: set search.num_candidates to "
                f"{least.num_candidates} (recall {least.recall:.3f}, p95 {least.p95:.1f} ms)"
            )
        else:
            short = True
            yield (
                f"{found}, less than {target:g}, and {tried[-1].recall:.3f} with "
                f"{tried[-1].num_candidates} candidates: more candidates are not enough"
            )
    if short:
        yield from _about_index(engine, index, tied=max(each.tied for each in measured))


def _about_index(engine: Engine, index: VideosIndex, *, tied: float) -> Iterator[str]:
    if "flat" in index.quantization:
        yield (
            "index.quantization compares every vector, so what is missed is lost by rescoring too "
            "few: set search.rescore to true, or search.window to a larger number"
        )
        return
    if tied >= MANY_TIED:
        yield (
            f"{tied:.0%} of the vectors searched for have more equal ones than are looked for, and "
            "a graph leads to few of many equal vectors: set index.quantization to flat, which "
            "compares with all, or delete videos that are the same"
        )
    if _ends_early(engine, index):
        yield (
            f"the engine ends searches of this index early: set index.{EARLY_TERMINATION} to "
            "false in its settings, which can be changed at any time"
        )
    yield (
        f"the graph is too sparse: set index.m to {2 * M} or more and index.ef_construction to 200 "
        "or more. Elasticsearch takes it by `vidsearch index diff --apply` for what is merged from "
        "then on; OpenSearch needs a new index"
    )
    if oversample_of(index.quantization) is not None:
        yield (
            f"or the vectors are too short: index.quantization is {index.quantization}; float "
            "keeps them exactly, and flat compares with all"
        )


def _ends_early(engine: Engine, index: VideosIndex) -> bool:
    """Whether the engine may end a search before it has seen all candidates."""
    if engine.kind != "elasticsearch" or engine.info().version < (9, 3, 0):
        return False
    try:
        settings = flattened(engine.settings(index.name))
    except BackendError:  # no right to the settings
        return False
    return str(settings.get(EARLY_TERMINATION, True)).lower() != "false"
