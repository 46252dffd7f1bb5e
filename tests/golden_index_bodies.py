"""The index bodies that are kept as JSON beside the unit tests.

``python -m tests.golden_index_bodies --write`` writes them anew; look at the difference before you
commit it. Without the option it only says what would change.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from vidsearch_mappings import index_meta, registry_index, videos_index
from vidsearch_mappings.types import EngineKind
from vidsearch_mappings.vectors import presets_of

GOLDEN = Path(__file__).parent / "unit" / "golden"

MODEL = {
    "name": "demo",
    "revision": "0123456789abcdef",
    "dims": 512,
    "image_size": 224,
    "pooling": "mean-l2",
    "sampling": "played-at@1fps",
}

VERSIONS: dict[str, tuple[EngineKind, tuple[int, int, int]]] = {
    "es-8.19": ("elasticsearch", (8, 19, 21)),
    "es-9.5": ("elasticsearch", (9, 5, 3)),
    "os-2.19": ("opensearch", (2, 19, 1)),
    "os-3.6": ("opensearch", (3, 6, 0)),
}
"""Engine and version of the kept bodies, by the name that stands in their files."""


def bodies() -> dict[str, dict[str, Any]]:
    """Every kept body by the name of its file."""
    kept: dict[str, dict[str, Any]] = {}
    for name, (kind, version) in VERSIONS.items():
        for quantization in presets_of(kind, version=version):
            meta = index_meta(
                model=MODEL, quantization=quantization, field="video", segment_seconds=10
            )
            kept[f"index_videos_{name}_{quantization}"] = videos_index(
                kind,
                version=version,
                dims=512,
                field="video",
                meta=meta,
                quantization=quantization,
                shards=2,
                replicas=1,
            )
        kept[f"index_registry_{kind}"] = registry_index(kind, shards=1, replicas=0)
    return kept


def text(body: dict[str, Any]) -> str:
    """The body as it stands in its file."""
    return json.dumps(body, indent=2) + "\n"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.golden_index_bodies")
    parser.add_argument("--write", action="store_true", help="write what differs")
    write = parser.parse_args(argv).write
    changed = 0
    for name, body in bodies().items():
        path = GOLDEN / f"{name}.json"
        if path.is_file() and path.read_text(encoding="utf-8") == text(body):
            continue
        changed += 1
        sys.stdout.write(f"{'wrote' if write else 'differs'} {path.name}\n")
        if write:
            path.write_text(text(body), encoding="utf-8")
    return 0 if write or not changed else 1


if __name__ == "__main__":
    sys.exit(main())
