"""Importing the package loads nothing heavy, and names resolve when they are first used."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import pytest

import vidsearch

_HEAVY = ["torch", "transformers", "cv2", "av", "celery", "elasticsearch", "opensearchpy", "PIL"]


def _loaded_after(statement: str) -> set[str]:
    loaded = f"[name for name in {_HEAVY} if name in sys.modules]"
    code = f"import sys, json; {statement}; print(json.dumps({loaded}))"
    return set(json.loads(_output_of(code)))


def _output_of(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    ).stdout


@pytest.mark.parametrize(
    "statement",
    [
        "import vidsearch; vidsearch.load_settings; vidsearch.VidsearchError",
        "import vidsearch; vidsearch.VideoSearch",
        "import vidsearch.engines, vidsearch.search, vidsearch.media, vidsearch.encoders",
        "import vidsearch.ingest",
        "import vidsearch.evaluation; vidsearch.evaluation.pair_rows",
        "import vidsearch.finetuning, vidsearch.cli.finetune",
        "import vidsearch.sizing, vidsearch.cli.plan",
        "import vidsearch_mappings",
        "import vidsearch.cli; vidsearch.cli.cli.list_commands(None)",
        "import vidsearch.local, vidsearch.demo",
    ],
)
def test_import_loads_no_heavy_package(statement: str) -> None:
    assert _loaded_after(statement) == set()


def test_packages_import_no_module_before_a_name_is_used() -> None:
    code = (
        "import sys, vidsearch.media, vidsearch.media.pyav, vidsearch.encoders.onnx\n"
        "import vidsearch.defaults\n"
        "print({'numpy', 'pydantic', 'asyncio'} & set(sys.modules))"
    )
    assert _output_of(code) == "set()\n"


def test_search_loads_the_description_of_an_index_and_nothing_that_writes_one() -> None:
    code = (
        "import sys, vidsearch.search\n"
        "rooms = ('vidsearch.index.', 'vidsearch.registry', 'vidsearch.ingest', 'vidsearch.cli')\n"
        "print(sorted(name for name in sys.modules if name.startswith(rooms)))"
    )
    read = [f"vidsearch.index.{name}" for name in ("copy_note", "description", "health", "size")]
    assert _output_of(code) == f"{read}\n"


def test_status_loads_nothing_that_ingests() -> None:
    code = (
        "import sys, vidsearch_tasks.overview, vidsearch.reindex.run_store\n"
        "from vidsearch.ingest import SliceBoard, FillBoard\n"
        "work = ('vidsearch.ingest.indexer', 'vidsearch.embeddings', 'vidsearch.media')\n"
        "print(sorted(name for name in sys.modules if name.startswith(work) or name == 'numpy'))"
    )
    assert _output_of(code) == "[]\n"


@pytest.mark.parametrize(
    "package",
    [
        "vidsearch.media",
        "vidsearch.media.pyav",
        "vidsearch.encoders",
        "vidsearch.encoders.onnx",
        "vidsearch.index",
        "vidsearch.ingest",
        "vidsearch.evaluation",
    ],
)
def test_names_of_lazy_packages_resolve(package: str) -> None:
    module = importlib.import_module(package)
    assert dir(module) == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match=f"'{package}' has no attribute 'nonsense'"):
        module.nonsense  # noqa: B018


def test_check_of_loaded_packages_notices_celery() -> None:
    assert _loaded_after("import celery") == {"celery"}


def test_public_names_are_sorted_and_resolve() -> None:
    assert vidsearch.__all__ == sorted(vidsearch.__all__, key=str)
    for name in vidsearch.__all__:
        assert getattr(vidsearch, name) is not None
    assert dir(vidsearch) == vidsearch.__all__
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        vidsearch.nonsense  # noqa: B018


@pytest.mark.parametrize("name", ["create_videos_index", "Registry", "embed_video"])
def test_names_that_left_the_package_ingest_are_still_found_there(name: str) -> None:
    homes = ("vidsearch.index", "vidsearch.registry", "vidsearch.embeddings")
    places = [getattr(importlib.import_module(home), name, None) for home in homes]
    assert getattr(importlib.import_module("vidsearch.ingest"), name) in filter(None, places)
