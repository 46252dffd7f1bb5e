"""A worker that runs an export writes into an index that torch made, and finds what it wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.exports import demo_export

from vidsearch.config import IndexSettings, IngestSettings, ModelSettings, SourceSettings
from vidsearch.embeddings import FrameEmbedder
from vidsearch.encoders import TorchEncoder, load_encoder
from vidsearch.encoders.onnx import OnnxEncoder
from vidsearch.index import create_videos_index
from vidsearch.ingest import Indexer
from vidsearch.media import MediaLimits
from vidsearch.media.direct_reader import DirectReader
from vidsearch.registry import Registry
from vidsearch.testing.memory_engine import MemoryEngine


@pytest.mark.parametrize(("precision", "bar"), [("fp32", 0.999999), ("int8", 0.99)])
def test_a_worker_without_torch_writes_what_torch_would(
    red: Path, tmp_path_factory: pytest.TempPathFactory, precision: str, bar: float
) -> None:
    settings = IndexSettings(name="videos")
    torch = TorchEncoder("demo", device="cpu", precision="fp32")
    export = demo_export(tmp_path_factory)
    onnx = load_encoder(ModelSettings(name=str(export), encoder="onnx", precision=precision))  # type: ignore[arg-type]
    assert isinstance(onnx, OnnxEncoder)

    vectors = []
    for encoder in (torch, onnx):
        memory = MemoryEngine()
        create_videos_index(memory, settings, torch.identity)
        registry = Registry(memory, index=settings.registry, lease_seconds=30, max_attempts=2)
        indexer = Indexer(
            memory,
            registry,
            embedder=FrameEmbedder(
                DirectReader("pyav", limits=MediaLimits()), encoder, batch_size=2
            ),
            index=settings,
            settings=IngestSettings(),
            sources=SourceSettings(),
        )
        registry.register("a", uri=str(red), fields={})
        assert indexer.ingest("a", owner="w").status == "indexed"
        document = memory.get("videos", "a")
        assert document is not None
        vectors.append(np.asarray(document.source["video"]["vector"]))
    assert float(vectors[0] @ vectors[1]) >= bar
