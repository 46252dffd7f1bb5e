"""Importing the package loads nothing heavy, and names resolve when they are first used."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import vidsearch

_HEAVY = ["torch", "transformers", "cv2", "av", "celery", "elasticsearch", "opensearchpy", "PIL"]


def _loaded_after(statement: str) -> set[str]:
    loaded = f"[name for name in {_HEAVY} if name in sys.modules]"
    code = f"import sys, json; {statement}; print(json.dumps({loaded}))"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    ).stdout
    return set(json.loads(output))


@pytest.mark.parametrize(
    "statement",
    [
        "import vidsearch; vidsearch.load_settings; vidsearch.VidsearchError",
        "import vidsearch; vidsearch.VideoSearch",
        "import vidsearch.engines, vidsearch.search, vidsearch.media, vidsearch.encoders",
        "import vidsearch.ingest",
        "import vidsearch_mappings",
        "import vidsearch.cli; vidsearch.cli.cli.list_commands(None)",
        "import vidsearch.local, vidsearch.demo",
    ],
)
def test_nothing_heavy_is_loaded(statement: str) -> None:
    assert _loaded_after(statement) == set()


def test_the_check_above_can_fail() -> None:
    assert _loaded_after("import celery") == {"celery"}


def test_public_names_resolve() -> None:
    assert vidsearch.__all__ == sorted(vidsearch.__all__, key=str)
    for name in vidsearch.__all__:
        assert getattr(vidsearch, name) is not None
    assert dir(vidsearch) == vidsearch.__all__
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        vidsearch.nonsense  # noqa: B018
