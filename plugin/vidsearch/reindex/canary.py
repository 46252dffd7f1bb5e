"""The check before the swap: whether the target may take the place of the source."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from vidsearch.config import SearchSettings
from vidsearch.encoders.base import Encoder
from vidsearch.engines import Json
from vidsearch.errors import QueryError
from vidsearch.index.videos_index import VideosIndex
from vidsearch.registry import Registry
from vidsearch.reindex.presence import compare_presence
from vidsearch.reindex.samples import compare_samples
from vidsearch.reindex.side_by_side import SideBySide, compare_searches
from vidsearch.search.recall import recall_of
from vidsearch.search.recall_advice import MANY_TIED, Recall

__all__ = ["CanaryReport", "check_target"]

_K = 10
_LEAST_RECALL = 0.9
_LOST_RECALL = 0.05
"""By which the recall may be below that of the source, where both are low."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryReport:
    """What :func:`check_target` found."""

    source: str
    target: str
    problems: tuple[str, ...]
    """Why the target may not be swapped in, a sentence each; empty where it may."""
    counts: Mapping[str, Mapping[str, int]]
    """By the state of the videos: number of ``videos``, and how many of them have a document with
    vectors in ``source`` and ``target``."""
    sampled: int
    """Number of documents that were compared field by field."""
    recall: Mapping[str, float] = field(default_factory=dict)
    """Recall@10 of the target against exact search, by level; empty where it has too few videos."""
    comparisons: tuple[SideBySide, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the target may be swapped in."""
        return not self.problems

    def to_json(self) -> Json:
        """As plain values."""
        return {
            "passed": self.passed,
            "problems": list(self.problems),
            "source": self.source,
            "target": self.target,
            "counts": {state: dict(each) for state, each in self.counts.items()},
            "sampled": self.sampled,
            "recall": dict(self.recall),
            "comparisons": [each.to_json() for each in self.comparisons],
        }


def check_target(
    source: VideosIndex,
    target: VideosIndex,
    registry: Registry,
    *,
    encoder_for: Callable[[VideosIndex], Encoder],
    settings: SearchSettings | None = None,
    queries: Sequence[str] = (),
    samples: int = 200,
    recall_queries: int = 30,
    pause: Callable[[float], object] = time.sleep,
) -> CanaryReport:
    """Compare the target of a run with its source, while both are written and the source answers.

    Four checks: the same documents by id, and what the registry says of each; ``samples`` of them
    equal but for what the run changes; recall@10 of searches of the target against exact search;
    and every query of the user can be answered. What the queries find is for a person to judge.

    Args:
        source: the index that the alias stands for.
        target: the index that is to follow.
        registry: of the videos.
        encoder_for: gives the encoder of an index; asked for ``queries`` only.
        settings: of searches.
        queries: texts of the user, whose results are put side by side.
        samples: number of documents to compare field by field.
        recall_queries: number of stored vectors to search for, at each level; 0 for none.
        pause: waits so many seconds, before a difference is looked at again.

    Raises:
        BackendError: an index or the registry cannot be read.
        EncoderError: the model of the source cannot be loaded, and there are queries.
    """
    settings = settings or SearchSettings()
    for index in (source, target):
        index.engine.refresh(index.name)
    presence = compare_presence(source, target, registry, samples=samples, pause=pause)
    problems = [*presence.problems]
    problems += compare_samples(source, target, presence.sample, pause=pause)
    recall = _recall(target, settings, recall_queries)
    if low := {level: each for level, each in recall.items() if each.recall < _LEAST_RECALL}:
        problems += _lost(low, _recall(source, settings, recall_queries), target)
    comparisons = compare_searches(
        source, target, queries, encoder_for=encoder_for, settings=settings
    )
    problems += [
        f"{target.name!r} cannot be searched for {each.query!r}: {each.error}"
        for each in comparisons
        if each.error is not None
    ]
    return CanaryReport(
        source=source.name,
        target=target.name,
        problems=tuple(problems),
        counts=presence.counts,
        sampled=len(presence.sample),
        recall={level: round(each.recall, 4) for level, each in recall.items()},
        comparisons=comparisons,
    )


def _recall(index: VideosIndex, settings: SearchSettings, queries: int) -> dict[str, Recall]:
    """By level; empty where the index holds too few videos to measure."""
    if queries < 1:
        return {}
    # By its own name, as the alias stands for the source.
    own = replace(index, alias=index.name)
    try:
        report = recall_of(own, settings, queries=queries, k=_K, target=_LEAST_RECALL)
    except QueryError:
        return {}
    return {each.level: each for each in report.measured if each.present}


def _lost(
    low: Mapping[str, Recall], before: Mapping[str, Recall], target: VideosIndex
) -> Iterator[str]:
    for level, now in low.items():
        was = before[level].recall if level in before else 1.0
        if now.recall >= was - _LOST_RECALL:
            continue
        yield (
            f"searches of {target.name!r} find {now.recall:.1%} of the {_K} nearest videos by the "
            f"vectors of each {level} ({was:.1%} before), less than {_LEAST_RECALL:.0%}: "
            f"{_mend(now, target)}"
        )


def _mend(now: Recall, target: VideosIndex) -> str:
    """What to do about a low recall."""
    if now.tied >= MANY_TIED and "flat" not in target.quantization:
        return (
            f"{now.tied:.0%} of the vectors searched for have more than {_K} equal ones, and a "
            "graph leads to few of many equal vectors. Take `--quantization flat`, which compares "
            "with all, or delete videos that are the same"
        )
    return "take another quantization, or set search.rescore or a greater search.num_candidates"
