"""``vidsearch plan``: what a number of videos will take, before there is an index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vidsearch.cli import output
from vidsearch.cli.options import Amount, engine_option, json_option
from vidsearch.config import load_settings

if TYPE_CHECKING:
    from vidsearch.sizing import Estimate, Library, PresetCost
    from vidsearch.sizing.rates import Measured

__all__ = ["plan"]

_PRECISIONS = ("fp32", "bf16", "int8")
_LONGEST = 864_000
"""Seconds of a video, ten days; its frames are counted one by one."""


@click.command()
@click.option("--videos", required=True, type=click.IntRange(min=1), help="Number of videos.")
@click.option(
    "--seconds",
    required=True,
    type=Amount(max=_LONGEST),
    help="Mean length of a video in seconds.",
)
@engine_option
@click.option(
    "--preset",
    "presets",
    multiple=True,
    metavar="P",
    help="Only this preset of index.quantization; repeat.  [default: all of the engine]",
)
@click.option(
    "--dims",
    default=512,
    show_default=True,
    type=click.IntRange(min=1),
    help="Length of the model's vectors.",
)
@click.option(
    "--segment-seconds",
    type=Amount(),
    help="Length of a segment.  [default: the setting index.segment_seconds]",
)
@click.option(
    "--replicas",
    type=click.IntRange(min=0),
    help="Replicas of each shard.  [default: the setting index.replicas]",
)
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Worker processes that embed at once, with a core each.",
)
@click.option(
    "--frames-per-second",
    type=Amount(),
    help="Frames that a worker decodes and embeds per second.  [default: as was measured of a "
    "ViT-B/32 on one core]",
)
@json_option
def plan(
    videos: int,
    seconds: float,
    engine: Any,
    presets: tuple[str, ...],
    dims: int,
    segment_seconds: float | None,
    replicas: int | None,
    workers: int,
    frames_per_second: float | None,
    as_json: bool,
) -> None:
    """Compute what a number of videos takes in memory, disk and hours, for each preset.

    Nothing is asked of a cluster. Segments, how often frames are sampled, neighbours in the graph
    and the precision of the store are those of the settings; the rates are those that
    docs/sizing.md names.
    """
    from vidsearch.sizing import Library, estimate
    from vidsearch.sizing.rates import Measured

    settings = load_settings()
    rate = (
        _measured_rate(settings.model.precision)
        if frames_per_second is None
        else Measured(frames_per_second, "--frames-per-second")
    )
    index = settings.index
    length = index.segment_seconds if segment_seconds is None else segment_seconds
    if index.segment_overlap >= length:
        raise click.UsageError(
            f"segments of {length:g} s cannot overlap by {index.segment_overlap:g} s, the setting "
            "index.segment_overlap"
        )
    library = Library(
        videos=videos,
        seconds=seconds,
        engine=engine,
        dims=dims,
        fps=settings.ingest.fps,
        segment_seconds=length,
        segment_overlap=index.segment_overlap,
        max_segments=index.max_segments,
        m=index.m,
        replicas=index.replicas if replicas is None else replicas,
        frames_per_second=rate.value,
        workers=workers,
        vector_bytes=2 if settings.embeddings.precision == "fp16" else 4,
    )
    found = estimate(library)
    shown = _chosen(found, presets)
    if as_json:
        data = {**found.to_dict(), "frames_per_second": rate._asdict()}
        names = {each.preset for each in shown}
        data["presets"] = [each for each in data["presets"] if each["preset"] in names]
        output.print_json(data)
        return
    output.print_table(("what", "takes", "by"), _facts(library, found, rate), whole=("what",))
    click.echo()
    columns = ("preset", "memory", "disk", "while merging", "load", "merge", "hours by")
    output.print_table(columns, map(_cells, shown), right=columns[1:-1])


def _measured_rate(precision: str) -> Measured:
    from vidsearch.sizing.rates import FRAMES_PER_SECOND

    # `auto` takes bf16 where the processor has it, which is not known of the workers' machines.
    return FRAMES_PER_SECOND[precision if precision in _PRECISIONS else "fp32"]


def _chosen(found: Estimate, presets: tuple[str, ...]) -> list[PresetCost]:
    known = [each.preset for each in found.presets]
    if unknown := [name for name in presets if name not in known]:
        raise click.UsageError(
            f"no preset {unknown[0]!r} with this engine and so many dims; there are "
            f"{', '.join(known)}"
        )
    return [each for each in found.presets if not presets or each.preset in presets]


def _facts(library: Library, found: Estimate, rate: Measured) -> list[tuple[str, str | None, str]]:
    by = f"{library.workers} x {rate.value:.1f} frames/s, {rate.source}"
    segments = f"{found.segments} segments of {library.segment_seconds:g} s per video, and one"
    precision = "fp16" if library.vector_bytes == 2 else "fp32"
    return [
        ("frames", f"{found.frames:,}", f"{library.fps:g} per second"),
        ("embedding", _hours(found.embed_hours), by),
        ("store of embeddings, folder", _bytes(found.store_folder_bytes), precision),
        ("store of embeddings, index", _bytes(found.store_index_bytes), "as base64, one copy"),
        ("vectors in the index", f"{found.vectors:,}", f"{segments} of the video"),
        ("copies of the index", f"{1 + library.replicas}", "load and merge below are of one copy"),
    ]


def _cells(cost: PresetCost) -> tuple[str | None, ...]:
    return (
        cost.preset,
        _bytes(cost.memory_bytes),
        _bytes(cost.disk_bytes),
        _bytes(cost.merging_bytes),
        _hours(cost.load_hours),
        _hours(cost.merge_hours),
        cost.hours_by,
    )


def _bytes(number: float | None) -> str | None:
    from vidsearch.cli.kept_output import size

    return size(None if number is None else round(number))


def _hours(number: float | None) -> str | None:
    if number is None:
        return None
    return f"{number:,.1f} h" if number >= 1 else f"{60 * number:.0f} min"
