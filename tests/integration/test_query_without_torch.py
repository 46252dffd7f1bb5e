"""A web process: ``import vidsearch``, search a real node with an exported model, no torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.exports import demo_export
from tests.search_index import Video, create_index

from vidsearch.config import EngineSettings, IndexSettings, ModelSettings, Settings
from vidsearch.encoders import TorchEncoder
from vidsearch.engines import Engine, connect
from vidsearch.errors import ModelMismatchError
from vidsearch.local import SearchNode
from vidsearch.search import VideoSearch

pytestmark = pytest.mark.integration

_WORDS = ["a red circle", "a blue square on a green background", "a yellow star"]
_HEAVY = {"torch", "transformers", "huggingface_hub", "cv2", "av", "PIL", "celery", "onnx"}
_WEB_PROCESS = """
import json, sys
import vidsearch
found = {}
with vidsearch.VideoSearch.from_settings(vidsearch.load_settings()) as search:
    for mode in ("vector", "hybrid"):
        result = search.search(sys.argv[1], k=3, mode=mode)
        found[mode] = [(hit.id, hit.cosine) for hit in result.hits]
print(json.dumps({"found": found, "modules": sorted(sys.modules)}))
"""


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_search_with_an_export_in_an_index_made_by_torch_loads_no_torch(
    engine: Engine,
    search_node: SearchNode,
    index_name: str,
    tmp_path_factory: pytest.TempPathFactory,
    precision: str,
) -> None:
    export = demo_export(tmp_path_factory)
    torch = TorchEncoder("demo", device="cpu")
    videos = [
        Video(f"v{at}", {"title": f"number {at}"}, vector[np.newaxis])
        for at, vector in enumerate(torch.encode_text(_WORDS))
    ]
    create_index(engine, index_name, videos, identity=torch.identity)

    done = _web_process(export, search_node, index_name, precision, _WORDS[1])
    answer = json.loads(done)
    for hits in answer["found"].values():
        assert hits[0][0] == "v1"
        assert hits[0][1] > (0.9999 if precision == "fp32" else 0.99)
        assert len(hits) == 3
    loaded = {name.partition(".")[0] for name in answer["modules"]}
    assert loaded & _HEAVY == set()
    assert {"onnxruntime", "tokenizers"} <= loaded


def test_check_of_loaded_modules_notices_torch(
    elasticsearch_9: SearchNode, index_name: str
) -> None:
    """With the checkpoint itself, torch is there."""
    torch = TorchEncoder("demo", device="cpu")
    engine = connect(EngineSettings(url=elasticsearch_9.url))
    create_index(
        engine,
        index_name,
        [Video("v0", {}, torch.encode_text(_WORDS[:1]))],
        identity=torch.identity,
    )
    engine.close()
    answer = json.loads(_web_process("demo", elasticsearch_9, index_name, "fp32", _WORDS[0]))
    assert {"torch", "transformers"} <= set(answer["modules"])


def test_search_in_an_index_of_another_model_is_refused(
    engine: Engine,
    search_node: SearchNode,
    index_name: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    other = TorchEncoder("demo", device="cpu", rate=2.0)
    create_index(engine, index_name, [], identity=other.identity)
    settings = Settings(
        engine=EngineSettings(url=search_node.url),
        index=IndexSettings(name=index_name),
        model=ModelSettings(name=str(demo_export(tmp_path_factory))),
    )
    with (
        VideoSearch.from_settings(settings) as search,
        pytest.raises(ModelMismatchError, match="differs in sampling"),
    ):
        search.search("a red circle", mode="vector")


def _web_process(model: str | Path, node: SearchNode, index: str, precision: str, text: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _WEB_PROCESS, text],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={
            **os.environ,
            "VIDSEARCH_ENGINE__URL": node.url,
            "VIDSEARCH_INDEX__NAME": index,
            "VIDSEARCH_MODEL__NAME": str(model),
            "VIDSEARCH_MODEL__PRECISION": precision,
        },
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
