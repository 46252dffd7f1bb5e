"""Runs a tower of an export with onnxruntime and loads its tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.encoders.base import Vectors
from vidsearch.encoders.onnx.layout import EXPORT_AGAIN, Export, Precision, Tower
from vidsearch.error_texts import first_line
from vidsearch.errors import EncoderError, MissingExtraError, ModelUnavailableError

__all__ = ["TowerSession", "load_tokenizer"]


class TowerSession:
    """Runs one tower; may be called from many threads at once."""

    def __init__(self, graph: Path, *, what: str, threads: int) -> None:
        """
        Args:
            graph: an ONNX file, with its weights beside it.
            what: it is, for messages.
            threads: per call.

        Raises:
            ModelUnavailableError: onnxruntime cannot load it.
            MissingExtraError: onnxruntime is not installed.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtraError.of("query", needed_for="running an ONNX export") from error

        self._what = what
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that wait by spinning take the cores from the other processes of a worker.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3  # errors; they are raised as well
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(graph), options, providers=["CPUExecutionProvider"]
            )
            self._input: str = self._session.get_inputs()[0].name
        except Exception as error:  # onnxruntime's have no common base
            raise ModelUnavailableError(
                f"onnxruntime {onnxruntime.__version__} cannot load {what}: {first_line(error)}. "
                f"Upgrade onnxruntime, or {EXPORT_AGAIN} here"
            ) from error

    @classmethod
    def of(
        cls, export: Export, tower: Tower, *, precision: Precision, threads: int
    ) -> TowerSession:
        """A tower of an export.

        Raises:
            ModelUnavailableError: the export lacks it, or its files are damaged.
            MissingExtraError: onnxruntime is not installed.
        """
        what = f"the {tower} tower of the export {str(export.folder)!r} in {precision}"
        files = export.towers.get(precision, {}).get(tower)
        if files is None:
            raise ModelUnavailableError(f"{what} is not there: {EXPORT_AGAIN}")
        files.weights.checked(export.folder)
        return cls(files.graph.checked(export.folder), what=what, threads=threads)

    def __call__(self, batch: NDArray[Any]) -> Vectors:
        """Unit vectors ``(n, dims)`` of token ids ``(n, length)`` or pixels ``(n, 3, s, s)``.

        Raises:
            EncoderError: onnxruntime failed.
        """
        try:
            output: Vectors = self._session.run(None, {self._input: batch})[0]
        except Exception as error:
            raise EncoderError(f"{self._what} failed: {first_line(error)}") from error
        unit: Vectors = output / np.linalg.norm(output, axis=1, keepdims=True)
        return unit


def load_tokenizer(export: Export) -> Any:
    """Its ``tokenizers.Tokenizer``, which neither pads nor cuts off.

    Raises:
        ModelUnavailableError: the file is damaged.
        MissingExtraError: tokenizers is not installed.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtraError.of("query", needed_for="reading text for an ONNX export") from error

    path = export.tokenizer.checked(export.folder)
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # a bare Exception is what tokenizers raises
        raise ModelUnavailableError(
            f"the tokenizer of the export {str(export.folder)!r} cannot be loaded: "
            f"{first_line(error)}. Upgrade tokenizers, or {EXPORT_AGAIN} here"
        ) from error
