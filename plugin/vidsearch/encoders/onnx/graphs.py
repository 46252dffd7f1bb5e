"""A tower of torch → ONNX files, in single precision and in eight bits."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vidsearch.encoders.checkpoint import Checkpoint
from vidsearch.encoders.onnx.layout import Tower
from vidsearch.errors import EncoderError, MissingExtra

__all__ = ["weights_of", "write_fp32", "write_int8"]

_INPUTS: dict[Tower, str] = {"text": "input_ids", "vision": "pixel_values"}
_NOISY = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")


def weights_of(graph: Path) -> Path:
    """Where the weights of a graph lie: beside it, so that they are mapped into memory instead of
    copied, and all processes of a machine share them."""
    return graph.with_name(f"{graph.name}.data")


def write_fp32(module: Any, tower: Tower, checkpoint: Checkpoint, graph: Path) -> None:
    """Write a tower, for any number of rows and texts of any length.

    Args:
        module: the tower with its projection, of transformers.
        tower: which one it is.
        checkpoint: it is of.
        graph: the file to write; its weights go beside it.

    Raises:
        EncoderError: torch cannot export it.
        MissingExtra: onnx, onnxscript or torch is not installed.
    """
    torch = _torch_that_exports()
    name = _INPUTS[tower]

    class Projection(torch.nn.Module):  # type: ignore[misc, name-defined]
        """The one output that is wanted."""

        def __init__(self) -> None:
            super().__init__()
            self.tower = module

        def forward(self, batch: Any) -> Any:
            return self.tower(**{name: batch})[0]

    # The plain form of attention: the fused one guards against rows without a single token, in
    # three more operations per layer.
    if hasattr(module, "set_attn_implementation"):
        module.set_attn_implementation("eager")
    batch = torch.export.Dim("batch")
    if tower == "text":
        example = torch.full((2, min(9, checkpoint.context_length)), 3, dtype=torch.int64)
        shape = {0: batch, 1: torch.export.Dim("length", min=2, max=checkpoint.context_length)}
    else:
        example = torch.zeros(2, 3, checkpoint.pixels.size, checkpoint.pixels.size)
        shape = {0: batch}
    try:
        with _quiet():
            program = torch.onnx.export(
                Projection().eval(),
                (example,),
                dynamo=True,
                verbose=False,
                input_names=[name],
                output_names=["vector"],
                dynamic_shapes=(shape,),
            )
            program.save(graph, external_data=True)
    except Exception as error:  # of torch.export, of its translator, of onnx: no common base
        raise EncoderError(
            f"torch {torch.__version__} cannot export the {tower} tower of {checkpoint.name!r}: "
            f"{str(error).strip().splitlines()[0]}"
        ) from error
    _forget_the_source(graph)


def write_int8(fp32: Path, graph: Path) -> None:
    """Write a graph anew with the weights of its products in eight bits, scaled per channel.

    What flows between them is scaled at run time. All else stays as it is: the table of tokens is
    only looked up in, and the patches of an image lose more than they gain.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _quiet():
        quantize_dynamic(
            fp32,
            graph,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            use_external_data_format=True,
        )
    # onnx writes them for their owner alone.
    weights_of(graph).chmod(graph.stat().st_mode)


def _torch_that_exports() -> Any:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
        import torch
    except ImportError as error:
        raise MissingExtra.of("export", needed_for="exporting to ONNX") from error
    return torch


def _forget_the_source(graph: Path) -> None:
    # Every node carries the stack that made it, with paths of this machine.
    import onnx

    model = onnx.load(graph, load_external_data=False)
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info):
        del part.metadata_props[:]
    graph.write_bytes(model.SerializeToString())


@contextmanager
def _quiet() -> Iterator[None]:
    # torch misses torchvision and warns of its own deprecations; the quantiser recommends, on the
    # root logger, a preparation that these graphs do without.
    loggers = [logging.getLogger(name) for name in (None, *_NOISY)]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
