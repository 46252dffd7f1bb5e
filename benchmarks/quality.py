"""``python -m benchmarks.quality``: how well the demo model finds, through files and an index.

Draws scenes that training never saw, in groups in which one attribute differs, so that each is
found by its caption only if every attribute is seen; encodes them as H.264, two scenes per clip, as
clips of one scene are all found; and ranks them as ``vidsearch eval pairs --engine`` does. The
figures stand in tests/e2e/test_quality.py, which fails where they drop. Not part of ``python -m
benchmarks``: nothing here depends on time.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from vidsearch.config import (
    EngineSettings,
    IndexSettings,
    IngestSettings,
    ModelSettings,
    SearchSettings,
    SourceSettings,
)
from vidsearch.demo import Scene, Shot, neighbours, scenes, write_clip
from vidsearch.encoders import load_encoder
from vidsearch.engines import Engine, connect
from vidsearch.evaluation import Variant, VideoFiles, embed_pairs, pair_rows, read_pairs
from vidsearch.evaluation.presets import measure_presets
from vidsearch.local import SearchNode
from vidsearch_mappings.types import Quantization

GROUPS, ALIKE = 40, 4
SECONDS, FPS = 2.0, 4
PRESET: Quantization = "int8"

__all__ = ["draw_gallery", "measure_quality"]


def main() -> None:
    """Print the figures of one node of each engine."""
    with tempfile.TemporaryDirectory() as name:
        captions = draw_gallery(Path(name))
        for kind in ("elasticsearch", "opensearch"):
            with SearchNode.start(kind) as node:
                engine = connect(EngineSettings(url=node.url, kind=kind))
                for figure, value in measure_quality(engine, captions).items():
                    print(f"{kind}: {figure} {value:.4f}")
                engine.close()


def draw_gallery(folder: Path) -> Path:
    """Write the clips and a CSV file of their captions; gives its path."""
    captions = folder / "captions.csv"
    with captions.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["video", "caption"])
        shown = _gallery()
        half = len(shown) // 2
        for number, both in enumerate(zip(shown[:half], shown[half:], strict=True)):
            path = folder / f"{number:03}.mp4"
            shots = [Shot(scene=scene, seconds=SECONDS, seed=number) for scene in both]
            write_clip(path, shots, fps=FPS, gop=FPS)
            table.writerows([path.name, scene.caption] for scene in both)
    return captions


def measure_quality(engine: Engine, captions: Path) -> dict[str, float]:
    """R@1 by exact comparison in both directions, and inside an index."""
    pairs = read_pairs(captions, "plain")
    embedded = embed_pairs(
        pairs,
        VideoFiles(captions.parent),
        {"demo": load_encoder(ModelSettings(name="demo", device="cpu", precision="fp32"))},
        ingest=IngestSettings(),
        sources=SourceSettings(),
        store=None,
    )
    assert not embedded.pairs.left_out, embedded.pairs.left_out
    rows = pair_rows(embedded.models.items(), [Variant.named("exact")])
    found: dict[str, float] = {row.direction: row.figures["R@1"].value for row in rows}
    (row,) = measure_presets(
        engine,
        embedded.models["demo"],
        [PRESET],
        index=IndexSettings(),
        search=SearchSettings(),
        queries=len(pairs.captions),
    )
    return {**found, f"text-to-video in an index, {PRESET}": row.figures["R@1"].value}


def _gallery() -> list[Scene]:
    """Held-out scenes, each followed by others that differ from it in one attribute."""
    found: dict[Scene, None] = {}
    for scene in scenes(GROUPS, seed=18, split="held_out"):
        found[scene] = None
        found |= dict.fromkeys(islice(_alike(scene), ALIKE))
    return list(found)[: len(found) // 2 * 2]


def _alike(scene: Scene) -> Iterator[Scene]:
    """Of each attribute one, then the next ones, so that no attribute fills a group alone."""
    by_attribute: dict[str, list[Scene]] = {}
    for name, other in neighbours(scene, split="held_out"):
        by_attribute.setdefault(name, []).append(other)
    while by_attribute:
        for name in list(by_attribute):
            yield by_attribute[name].pop(0)
            if not by_attribute[name]:
                del by_attribute[name]


if __name__ == "__main__":
    main()
