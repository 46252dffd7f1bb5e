"""``vidsearch demo``: every step on this machine, on real services, with drawn clips."""

from __future__ import annotations

import importlib.util
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidsearch.cli import output
from vidsearch.cli.options import engine_option
from vidsearch.cli.records import watch
from vidsearch.cli.search import print_result
from vidsearch.errors import MissingExtraError

if TYPE_CHECKING:
    from vidsearch.config import Settings
    from vidsearch.demo import DemoClip
    from vidsearch.encoders import Encoder
    from vidsearch.local import Stack
    from vidsearch.search import SearchResult
    from vidsearch_tasks import Services

__all__ = ["demo"]

_DEADLINE = 180.0
_WORKER_MODULES = ("av", "cv2", "PIL", "torch", "transformers")


@click.command()
@engine_option
@click.option(
    "--clips",
    "number",
    default=24,
    show_default=True,
    type=click.IntRange(8, 200),
    help="Number of drawn clips.",
)
@click.option("--seed", default=7, show_default=True, help="Seed of the drawn clips.")
def demo(engine: str, number: int, seed: int) -> None:
    """Run everything on this machine: search node, Redis, worker, drawn clips, searches.

    Starts a search node, Redis and a Celery worker on free ports, draws H.264 clips, ingests them
    with the tiny `demo` checkpoint, and searches them. At the end everything is stopped and
    removed. Nothing outside a temporary folder is touched.
    """
    _require_extras(engine)
    from vidsearch.demo import demo_clips
    from vidsearch_tasks import Services

    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="vidsearch-demo-") as name,
        ThreadPoolExecutor() as pool,
    ):
        folder = Path(name)
        output.talk(f"Drawing {number} clips while {engine} starts …")
        drawing = pool.submit(demo_clips, folder / "clips", number=number, seed=seed)
        loading = pool.submit(_load_encoder)
        with (
            _stack(folder / "stack", engine) as stack,
            Services(_settings(stack), encoder=loading.result()) as services,
        ):
            clips = drawing.result()
            _ingest(services, clips)
            _show_registry(services)
            _search_four_ways(services, clips)
    output.talk(f"\nDone in {time.monotonic() - started:.0f} s; everything is stopped and removed.")
    output.talk("Next: README.md says how to point vidsearch at your own cluster and videos.")


def _require_extras(engine: str) -> None:
    """Fail before a node is started in vain."""
    if not all(importlib.util.find_spec(module) for module in _WORKER_MODULES):
        raise MissingExtraError.of("worker", needed_for="the demo")
    if engine == "opensearch" and not importlib.util.find_spec("opensearchpy"):
        raise MissingExtraError.of("opensearch", needed_for="the demo on OpenSearch")


def _load_encoder() -> Encoder:
    """The encoder, loaded: importing torch takes longer than all that follows."""
    from vidsearch.config import ModelSettings
    from vidsearch.encoders import load_encoder

    encoder = load_encoder(ModelSettings(name="demo"))
    encoder.encode_text(["a red circle"])
    return encoder


@contextmanager
def _stack(folder: Path, engine: str) -> Iterator[Stack]:
    from vidsearch.local import Stack

    stack = Stack.up(folder, engine=engine, model="demo", bound=True, talk=output.talk)
    try:
        yield stack
    finally:
        output.talk("\nStopping everything …")
        stack.down()


def _settings(stack: Stack) -> Settings:
    """Settings of the stack alone: a demo must not reach the cluster of the environment."""
    from vidsearch.config import Settings

    return Settings(
        engine={
            "url": stack.environment["VIDSEARCH_ENGINE__URL"],
            "kind": stack.environment["VIDSEARCH_ENGINE__KIND"],
        },
        broker={"url": stack.environment["VIDSEARCH_BROKER__URL"]},
        model={"name": "demo"},
    )


def _ingest(services: Services, clips: Sequence[DemoClip]) -> None:
    """Register every clip, and wait until all are ingested."""
    from vidsearch.index import create_videos_index
    from vidsearch.registry import NewVideo
    from vidsearch_tasks import register_videos

    name = create_videos_index(services.engine, services.settings.index, services.encoder.identity)
    output.talk(f"Created index {name} on {services.engine.info()}")
    videos = [
        NewVideo(clip.id, str(clip.path), {"title": clip.title, "tags": list(clip.tags)})
        for clip in clips
    ]
    for one in register_videos(videos, services=services):
        one.require()
    watch(services.registry, [clip.id for clip in clips], timeout=_DEADLINE)
    services.engine.refresh(services.settings.index.name)


def _show_registry(services: Services) -> None:
    rows = [
        (
            record.id,
            record.fields.get("title"),
            record.state,
            f"{record.duration or 0:.0f} s",
            record.frames,
            record.segments,
            f"{sum(record.seconds.values()):.2f} s",
        )
        for record in sorted(services.registry.list(limit=200), key=lambda record: record.id)
    ]
    output.print_table(
        ("id", "title", "state", "length", "frames", "segments", "work"),
        rows,
        title="\nThe registry",
        right=("length", "frames", "segments", "work"),
    )
    output.talk("(The first video's work includes loading the model.)")


def _search_four_ways(services: Services, clips: Sequence[DemoClip]) -> None:
    from vidsearch.search import VideoSearch

    index = services.settings.index.name
    videos = VideoSearch(services.engine, services.encoder, index=index)
    singles = [clip for clip in clips if len(clip.scenes) == 1]
    seen, described = singles[0], singles[-1]
    double = next(clip for clip in clips if len(clip.scenes) > 1)
    late = double.scenes[1]
    place = singles[1].title.split()[0]
    look = seen.scenes[0].caption
    tag = next(tag for tag in described.tags if tag in {"dark", "light"})
    words = f"{described.title.split()[0]} {described.scenes[0].short_caption}"
    _show(f"Keyword: {place!r}, a word of the titles", videos.search(place, k=3, mode="keyword"))
    _show(
        f"Vector: {look!r} ({seen.id} shows it, no title says it)",
        videos.search(look, k=3, mode="vector"),
    )
    _show(
        f"Hybrid: {words!r} where tags = {tag} ({described.id} has both)",
        videos.search(words, k=3, filter={"tags": tag}),
    )
    _show(
        f"A moment: {late.caption!r} ({double.id} shows it from {late.start:.0f} s on)",
        videos.search(late.caption, k=3, mode="vector"),
    )


def _show(question: str, result: SearchResult) -> None:
    click.secho(f"\n{question}", bold=True)
    print_result(result, explain=False)
