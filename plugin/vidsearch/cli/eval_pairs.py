"""``vidsearch eval pairs``: the table of a model card, from captions and the videos they are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidsearch.cli import output
from vidsearch.cli.left_out import tell_left_out
from vidsearch.cli.options import (
    existing_file,
    folder_or_uri,
    json_option,
    pairs_options,
    report_option,
)
from vidsearch.config import load_settings
from vidsearch.errors import EvaluationError

if TYPE_CHECKING:
    from vidsearch.config import Settings
    from vidsearch.embeddings import EmbeddingStore
    from vidsearch.evaluation import EmbeddedPairs, PairRow, Pairs, PairVectors
    from vidsearch.evaluation.presets import PresetRow

__all__ = ["pairs"]

_STORE = Path(".vidsearch", "embeddings")
_VARIANTS = ("exact",)


@click.command()
@pairs_options(
    required=False,
    layout="Layout of the file; plain: a CSV file with the columns video and caption.",
)
@click.option("--split", help="With MSRVTT_data.json: train, validate or test.")
@click.option(
    "--only",
    type=existing_file,
    metavar="FILE",
    help="Take only the videos that this text file names, one in a line.",
)
@click.option(
    "--last",
    type=click.IntRange(min=1),
    metavar="N",
    help="Take only the last N captions of the file.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    type=folder_or_uri,
    metavar="M",
    help="Model, as the setting model.name; repeat for more rows.  [default: that setting]",
)
@click.option(
    "--variant",
    "variants",
    multiple=True,
    default=_VARIANTS,
    metavar="V",
    show_default=True,
    help="Way to compare: exact, int8, binary, binary+rerank100, dims256, dims256+binary, …; "
    "repeat for more rows.",
)
@click.option(
    "--store",
    type=folder_or_uri,
    metavar="URL",
    help="Folder or bucket that keeps the vectors of frames, so that no video is decoded twice.  "
    f"[default: the setting embeddings.url, else {_STORE}]",
)
@click.option(
    "--text-vectors",
    type=existing_file,
    metavar="FILE.npy",
    help="Vectors of captions, a row each, in place of --csv and --videos.",
)
@click.option(
    "--video-vectors", type=existing_file, metavar="FILE.npy", help="Vectors of videos, a row each."
)
@click.option(
    "--video-of",
    type=existing_file,
    metavar="FILE.npy",
    help="Row of the video that each caption is of; by default its own row.",
)
@click.option(
    "--engine",
    "in_engine",
    is_flag=True,
    help="Measure the first model in indices of the cluster as well, one for each preset of "
    "index.quantization; they are dropped at the end.",
)
@click.option(
    "--preset",
    "presets",
    multiple=True,
    metavar="P",
    help="With --engine: only this preset; repeat.",
)
@click.option(
    "--queries",
    default=500,
    show_default=True,
    type=click.IntRange(min=1),
    help="With --engine: maximum number of captions to search for.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of intervals and tests.")
@report_option
@json_option
def pairs(
    captions: Path | None,
    format_: Any,
    videos: Path | None,
    split: str | None,
    only: Path | None,
    last: int | None,
    models: tuple[str, ...],
    variants: tuple[str, ...],
    store: str | None,
    text_vectors: Path | None,
    video_vectors: Path | None,
    video_of: Path | None,
    in_engine: bool,
    presets: tuple[str, ...],
    queries: int,
    seed: int,
    report: Path | None,
    as_json: bool,
) -> None:
    """Rank videos by captions and captions by videos, and print R@1, R@5, R@10, MedianR, MeanR.

    The videos are embedded as a worker does it; what was embedded once is kept, so that the command
    goes on where it was interrupted. Videos that are missing or cannot be read are named and left
    out, with their captions.

    Items of the same score count by the mean over all their orders. Below a figure stands its
    interval: 95 % of bootstrap samples of the videos. The difference of R@1 from the first row has
    a paired permutation test.
    """
    from vidsearch.evaluation import Variant, pair_rows

    settings = load_settings()
    vectors: Mapping[str, PairVectors]
    ways = [Variant.named(each) for each in dict.fromkeys(variants)]
    if text_vectors or video_vectors:
        given: dict[str, object] = {
            "--csv": captions,
            "--videos": videos,
            "--model": models,
            "--only": only,
            "--split": split,
            "--last": last,
            "--store": store,
        }
        embedded, vectors = None, _from_files(text_vectors, video_vectors, video_of, given)
    elif captions is None or videos is None:
        raise click.UsageError(
            "give --csv and --videos, or --text-vectors and --video-vectors",
            click.get_current_context(),
        )
    else:
        from vidsearch.evaluation import read_keys, read_pairs

        found = read_pairs(captions, format_, split=split)
        found = found if only is None else found.only(read_keys(only))
        found = found if last is None else found.last(last)
        embedded = _embedded(found, videos, settings, models, store)
        vectors = embedded.models
    rows = list(pair_rows(vectors.items(), ways, seed=seed))
    measured: list[PresetRow] = []
    cluster = ""
    if in_engine:
        first = next(iter(vectors.values()))
        measured, cluster = _in_engine(settings, first, presets, queries, seed)
    if report is not None:
        _write_report(report, rows, measured, cluster, vectors, embedded, settings)
    if as_json:
        output.print_json(_to_dict(rows, measured, vectors, embedded, seed))
    else:
        _print(rows, measured)


def _from_files(
    texts: Path | None, videos: Path | None, video_of: Path | None, others: Mapping[str, object]
) -> dict[str, PairVectors]:
    from vidsearch.evaluation import read_vectors

    if given := [name for name, value in others.items() if value]:
        raise EvaluationError(f"--text-vectors and --video-vectors take the place of {given[0]}")
    if texts is None or videos is None:
        raise EvaluationError("--text-vectors and --video-vectors go together")
    return {texts.stem: read_vectors(texts, videos, video_of)}


def _embedded(
    pairs: Pairs, folder: Path, settings: Settings, models: Sequence[str], store: str | None
) -> EmbeddedPairs:
    from vidsearch.encoders import load_encoder
    from vidsearch.encoders.pool import model_named
    from vidsearch.evaluation import VideoFiles, embed_pairs

    sections = {name: model_named(name, settings.model) for name in dict.fromkeys(models)}
    sections = sections or {settings.model.name: settings.model}
    encoders = {name: load_encoder(each, settings.ingest) for name, each in sections.items()}
    files = VideoFiles(folder)
    with output.progress("videos", total=len(pairs.videos)) as report:
        made = embed_pairs(
            pairs,
            files,
            encoders,
            ingest=settings.ingest,
            sources=settings.sources,
            store=_store(settings, store),
            batch_size=settings.model.batch_size,
            progress=report,
        )
    output.talk(
        f"{len(made.pairs.captions)} captions of {len(made.pairs.videos)} videos; "
        f"{made.decoded} decoded, the others' vectors were kept"
    )
    for name, number in made.cut_off.items():
        if number:
            length = encoders[name].context_length
            output.talk(f"{number} captions have more than the {length} tokens that {name} reads")
    tell_left_out(made.pairs.left_out, part_of="the table")
    return made


def _store(settings: Settings, url: str | None) -> EmbeddingStore | None:
    from vidsearch.embeddings import EmbeddingStore
    from vidsearch.media.file_store import FileStore

    section = settings.embeddings
    if url is None and not section.keep:
        return None
    named, where = ("--store", url) if url else ("embeddings.url", section.url)
    files = FileStore(where or str(_STORE.absolute()), setting=named)
    return EmbeddingStore(files, precision=section.precision)


def _to_dict(
    rows: Sequence[PairRow],
    presets: Sequence[PresetRow],
    vectors: Mapping[str, PairVectors],
    embedded: EmbeddedPairs | None,
    seed: int,
) -> dict[str, Any]:
    first = next(iter(vectors.values()))
    return {
        "captions": len(first.texts),
        "videos": len(first.videos),
        "left_out": [each._asdict() for each in embedded.pairs.left_out] if embedded else [],
        "cut_off": dict(embedded.cut_off) if embedded else {},
        "decoded": embedded.decoded if embedded else 0,
        "seed": seed,
        "rows": [row.to_dict() for row in rows],
        "presets": [row.to_dict() for row in presets],
    }


def _in_engine(
    settings: Settings, vectors: PairVectors, presets: Sequence[str], queries: int, seed: int
) -> tuple[list[PresetRow], str]:
    """The rows of the presets, and which cluster they are of."""
    from vidsearch.engines import connect
    from vidsearch.evaluation.presets import measure_presets, presets_for

    engine = connect(settings.engine)
    try:
        chosen = presets_for(engine, vectors.videos.shape[1], presets)
        with output.progress("presets") as report:
            rows = measure_presets(
                engine,
                vectors,
                chosen,
                index=settings.index,
                search=settings.search,
                queries=queries,
                seed=seed,
                progress=report,
            )
        return rows, str(engine.info()).partition(" at ")[0]
    finally:
        engine.close()


def _print(rows: Sequence[PairRow], presets: Sequence[PresetRow]) -> None:
    from vidsearch.evaluation.pairs_report import row_cells, table_columns

    columns, numbers = table_columns(rows)
    output.print_table(columns, map(row_cells, rows), right=numbers)
    if presets:
        from vidsearch.evaluation.presets_report import preset_cells, preset_columns

        click.echo()
        columns = preset_columns(presets)
        output.print_table(columns, map(preset_cells, presets), right=columns[1:])


def _write_report(
    path: Path,
    rows: Sequence[PairRow],
    presets: Sequence[PresetRow],
    cluster: str,
    vectors: Mapping[str, PairVectors],
    embedded: EmbeddedPairs | None,
    settings: Settings,
) -> None:
    from vidsearch.evaluation.pairs_report import pairs_page
    from vidsearch.evaluation.presets_report import add_presets
    from vidsearch.evaluation.worst import pictures_of

    sections = [add_presets(presets, cluster)] if presets else []
    with pictures_of(ingest=settings.ingest, sources=settings.sources) as picture:
        page = pairs_page(rows, vectors, embedded=embedded, picture=picture, sections=sections)
    page.write(path)
    output.talk(f"wrote {path}")
