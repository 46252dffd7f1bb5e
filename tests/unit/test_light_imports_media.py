"""What an import costs, and what is said when a heavy package is not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vidsearch.testing.checkpoints import random_clip_checkpoint

_HEAVY = {"torch", "transformers", "tokenizers", "huggingface_hub", "cv2", "av", "PIL", "httpcore"}
_BLOCK = """
import sys

class Absent:
    def __init__(self, names): self.names = names
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent(sys.argv.pop(1).split(",")))
from vidsearch.cli.root import main
main()
"""


def run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize(
    "module",
    ["vidsearch", "vidsearch.media", "vidsearch.encoders", "vidsearch.cli.embed"],
)
def test_import_loads_no_heavy_package(module: str) -> None:
    code = f"import {module}, sys, json; print(json.dumps(sorted(sys.modules)))"
    done = run(code)
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert loaded & (_HEAVY | {"fsspec", "celery", "elasticsearch", "opensearchpy"}) == set()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    pytest.importorskip("torch")
    return str(random_clip_checkpoint(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.mark.parametrize(
    ("absent", "arguments", "needed_for"),
    [
        ("torch", ["text", "a red circle"], "running a checkpoint with torch"),
        ("transformers", ["text", "a red circle"], "loading a checkpoint"),
        ("av", ["video", "{clip}"], "decoding video"),
        ("cv2", ["video", "{clip}"], "decoding video"),
        ("httpcore", ["video", "http://127.0.0.1:9/clip.mp4"], "reading videos over http"),
    ],
)
def test_missing_package_is_reported_in_one_line_with_its_extra(
    model: str, tmp_path: Path, absent: str, arguments: list[str], needed_for: str
) -> None:
    from vidsearch.testing.clips import write_clip

    clip = write_clip(tmp_path / "clip.mp4", [0, 1])
    done = run(
        _BLOCK,
        absent,
        "embed",
        *(argument.format(clip=clip) for argument in arguments),
        VIDSEARCH_MODEL__NAME=model,
        VIDSEARCH_INGEST__DECODER="opencv" if absent == "cv2" else "pyav",
        VIDSEARCH_INGEST__ISOLATE="false",  # a child process would not know what is blocked here
    )
    assert done.stderr == f"Error: {needed_for} needs an extra: pip install 'vidsearch[worker]'\n"
    assert done.stdout == ""
    assert done.returncode == 2


def test_check_of_the_model_without_torch_names_the_extra(model: str) -> None:
    done = run(
        _BLOCK,
        "torch",
        "check",
        VIDSEARCH_MODEL__NAME=model,
        VIDSEARCH_ENGINE__URL="http://127.0.0.1:1",
        VIDSEARCH_BROKER__URL="redis://127.0.0.1:1/0",
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == 1
    states = dict(line.split("\t", 1) for line in done.stdout.splitlines())
    assert states["model"] == (
        "not here\trunning a checkpoint with torch needs an extra: pip install 'vidsearch[worker]'"
        ", to embed here; keyword searches, enqueuing and administering work without"
    )


def test_pixels_without_pillow_name_the_extra() -> None:
    code = (
        "import sys; sys.modules['PIL'] = None\n"
        "import numpy as np; from vidsearch.errors import MissingExtraError\n"
        "from vidsearch.media.pixels import clip_pixels\n"
        "try: clip_pixels(np.zeros((1, 4, 4, 3), np.uint8))\n"
        "except MissingExtraError as error: print(error)"
    )
    expected = "turning frames into pixels needs an extra: pip install 'vidsearch[worker]'\n"
    assert run(code).stdout == expected


def test_hub_checkpoint_without_the_hub_client_names_the_extra(model: str) -> None:
    done = run(_BLOCK, "huggingface_hub", "embed", "text", "a", VIDSEARCH_MODEL__NAME="acme/clip")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install 'vidsearch[worker]'" in done.stderr
