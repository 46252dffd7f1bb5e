"""A tower of torch → ONNX files, in single precision and in eight bits."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.encoders.checkpoint import Checkpoint
from vidsearch.encoders.families import Tower
from vidsearch.error_texts import first_line
from vidsearch.errors import EncoderError, MissingExtraError

__all__ = ["weights_of", "write_fp32", "write_int8"]

_INPUTS: dict[Tower, str] = {"text": "input_ids", "vision": "pixel_values"}
_MANY_ROWS = 512
"""More than any table of positions has, fewer than any of tokens."""
_NOISY = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")


def weights_of(graph: Path) -> Path:
    """Where the weights of a graph lie: beside it, so that they are mapped into memory instead of
    copied, and all processes of a machine share them."""
    return graph.with_name(f"{graph.name}.data")


def write_fp32(
    module: Any,
    tower: Tower,
    checkpoint: Checkpoint,
    graph: Path,
    *,
    inputs: Sequence[NDArray[Any]],
) -> None:
    """Write a tower, for any number of rows.

    Args:
        module: the tower with what makes its vector, of transformers.
        tower: which one it is.
        checkpoint: it is of.
        graph: the file to write; its weights go beside it.
        inputs: of one row each; texts may be of their lengths, and of those between.

    Raises:
        EncoderError: torch cannot export it.
        MissingExtraError: onnx, onnxscript or torch is not installed.
    """
    torch = _torch_that_exports()
    name, vector = _INPUTS[tower], checkpoint.family.vector

    class OneOutput(torch.nn.Module):  # type: ignore[misc, name-defined]
        """The one output that is wanted."""

        def __init__(self) -> None:
            super().__init__()
            self.tower = module

        def forward(self, batch: Any) -> Any:
            return self.tower(**{name: batch})[vector]

    # The plain form of attention: the fused one guards against rows without a single token, in
    # three more operations per layer.
    if hasattr(module, "set_attn_implementation"):
        module.set_attn_implementation("eager")
    example = torch.from_numpy(inputs[len(inputs) // 2]).repeat_interleave(2, dim=0)
    shape = {0: torch.export.Dim("batch")}
    lengths = {one.shape[1] for one in inputs}
    if len(lengths) > 1:
        shape[1] = torch.export.Dim("length", min=min(lengths), max=max(lengths))
    try:
        with _quiet():
            program = torch.onnx.export(
                OneOutput().eval(),
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
            f"{first_line(error)}"
        ) from error
    _forget_the_source(graph)


def write_int8(fp32: Path, graph: Path) -> None:
    """Write a graph again with the weights of its products in eight bits, scaled per channel.

    Seven of the eight bits are used: processors without VNNI instructions add two products of
    eight bits in sixteen, which overflows ("reduce_range" in the documentation of onnxruntime's
    quantization), and an export made on one machine runs on others.

    What flows between them is scaled at run time. The table of tokens, most of a text tower's
    bytes, is kept in eight bits as well, scaled per token. All else stays as it is: the patches of
    an image lose more than they gain.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _quiet():
        quantize_dynamic(
            fp32,
            graph,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            use_external_data_format=True,
        )
    _narrow_tables(graph)
    # onnx writes them for their owner alone.
    weights_of(graph).chmod(graph.stat().st_mode)


def _narrow_tables(graph: Path) -> None:
    # By hand, as onnxruntime's quantiser knows one scale per table only. In single precision it
    # would be what takes longest to check at every start.
    import onnx

    model = onnx.load(graph)
    tables = {one.name: one for one in model.graph.initializer if _is_table(one)}
    uses = Counter(name for node in model.graph.node for name in node.input)
    nodes = []
    for node in model.graph.node:
        table = tables.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or uses[table.name] > 1:
            nodes.append(node)
            continue
        levels, scales = _per_row(onnx.numpy_helper.to_array(table))
        model.graph.initializer.remove(table)
        for suffix, part in (("levels", levels), ("scales", scales)):
            name = f"{table.name}_{suffix}"
            model.graph.initializer.append(onnx.numpy_helper.from_array(part, name))
            nodes.append(
                onnx.helper.make_node("Gather", [name, node.input[1]], [f"{name}_of_tokens"])
            )
        levels_of, scales_of = (nodes[at].output[0] for at in (-2, -1))
        wide = f"{levels_of}_wide"
        nodes.append(onnx.helper.make_node("Cast", [levels_of], [wide], to=onnx.TensorProto.FLOAT))
        nodes.append(onnx.helper.make_node("Mul", [wide, scales_of], [node.output[0]]))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    weights_of(graph).unlink()
    onnx.save(model, graph, save_as_external_data=True, location=weights_of(graph).name)


def _is_table(initializer: Any) -> bool:
    import onnx

    return (
        initializer.data_type == onnx.TensorProto.FLOAT
        and len(initializer.dims) == 2
        and initializer.dims[0] >= _MANY_ROWS
    )


def _per_row(table: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    largest = np.abs(table).max(axis=1, keepdims=True)
    scales = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    return np.rint(table / scales).clip(-127, 127).astype(np.int8), scales


def _torch_that_exports() -> Any:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
        import torch
    except ImportError as error:
        raise MissingExtraError.of("export", needed_for="exporting to ONNX") from error
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
