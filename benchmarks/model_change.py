"""What a change of the model of a searched index takes, against ingesting its videos."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.celery_worker import start_worker
from benchmarks.clips import Clip, make_clips
from benchmarks.harness import others_from_now
from benchmarks.ingested import environment_of, ingest, settings_of
from benchmarks.report import Section, Verdict
from vidsearch.encoders import load_encoder
from vidsearch.index import create_videos_index
from vidsearch.local import RedisServer, SearchNode
from vidsearch.reindex import Changes, Step
from vidsearch.testing.checkpoints import random_clip_checkpoint
from vidsearch_tasks import Services, reindexer

TITLE = "Another model"

VIDEOS, FILES, SECONDS = 200, 20, 8
MOST = 1.1
_WORKERS = 2
_MOST_ROUNDS = 3


def run(*, rounds: int, folder: Path) -> Iterator[Section]:
    """Videos are ingested with one model, then the model is changed, in each round."""
    files = [
        *make_clips(
            folder, [Clip(f"change-{n}.mp4", "", seconds=SECONDS) for n in range(FILES)]
        ).values()
    ]
    clips = {f"v{n}": files[n % FILES] for n in range(VIDEOS)}
    models = [
        random_clip_checkpoint(folder / f"model-{seed}", seed=seed, shape="vit-b-32")
        for seed in (1, 2)
    ]
    with ExitStack() as stack:
        node = stack.enter_context(SearchNode.start("elasticsearch", version="9.5.3", heap="1g"))
        redis = stack.enter_context(RedisServer.start())
        taken = [
            _round(node.url, redis.url, folder, f"change-{number}", clips, models)
            for number in range(min(rounds, _MOST_ROUNDS))
        ]
    ratio = statistics.median(one.ratio for one in taken)
    others = max(one.others for one in taken)
    yield Section(
        f"{VIDEOS} videos of {SECONDS} s with two workers",
        (
            *("round", "ingestion s", "change s", "of that until all are embedded"),
            *("check and swap", "change / ingestion"),
        ),
        tuple(one.row(n) for n, one in enumerate(taken, 1)),
        (
            "360p, 30 fps; both models of the shape of ViT-B/32; no vectors are kept",
            f"{FILES} files, each for {VIDEOS // FILES} videos",
            "ingestion: from registration to `indexed`; workers have loaded the first model",
            "change: `reindexer().start(Changes(model=…))`, from the call to the swap",
            "in it, this process and workers load the second model, and at least 15 seconds pass",
            f"node, Redis and workers share the {os.cpu_count()} cores of this machine",
            f"processes other than these took up to {others:.2f} cores",
        ),
        (
            Verdict.of_figure(
                f"A change of the model within {MOST - 1:.0%} of plain ingestion's time",
                f"{ratio:.2f} of it (median of {len(taken)} rounds)",
                missed_by=ratio / MOST - 1,
                others=others,
            ),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Times:
    """Seconds."""

    ingestion: float
    change: float
    embedded: float
    """From the beginning of the change until all videos are embedded with the new model."""
    others: float

    @property
    def ratio(self) -> float:
        return self.change / self.ingestion

    def row(self, number: int) -> tuple[str, ...]:
        seconds = (self.ingestion, self.change, self.embedded, self.change - self.embedded)
        return str(number), *(f"{each:.1f}" for each in seconds), f"{self.ratio:.2f}"


def _round(
    engine: str,
    broker: str,
    folder: Path,
    name: str,
    clips: Mapping[str, Path],
    models: list[Path],
) -> _Times:
    first, second = map(str, models)
    settings = settings_of(engine, broker, name, keep=False, model=first, others=(second,))
    with ExitStack() as stack:
        encoder = load_encoder(settings.model)
        services = stack.enter_context(Services(settings, encoder=encoder))
        create_videos_index(services.engine, settings.index, encoder.identity)
        for n in range(_WORKERS):
            process = start_worker(folder / f"{name}-{n}.log", environment_of(settings), queue=name)
            stack.callback(process.stop)
        # All are idle, so that each takes one, and loads the model for it.
        ingest(services, {f"warm-{n}": clips["v0"] for n in range(_WORKERS)})
        others = others_from_now()
        ingestion = ingest(services, clips)
        ingested = time.perf_counter()
        run = reindexer(services).start(Changes(model=second))
        ended = time.perf_counter()
        assert (run.step, run.total) == (Step.SWAPPED, VIDEOS + _WORKERS)
        # The time before the run was recorded, as its model is loaded, counts as well.
        after = run.began[str(Step.SWAPPED)] - run.began[str(Step.CATCHING_UP)]
        return _Times(
            ingestion=ingestion,
            change=ended - ingested,
            embedded=ended - ingested - after,
            others=others(),
        )
