"""The number format that frames are computed in, by setting and hardware."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, Literal

from vidsearch.errors import ConfigError

__all__ = ["FramePrecision", "cpu_has_bf16", "frame_precision", "may_have_card"]

FramePrecision = Literal["fp32", "bf16"]

_CPU_INFO = Path("/proc/cpuinfo")
_BF16 = {"avx512_bf16", "amx_bf16", "bf16"}
"""Flags of x86 and, the last one, of ARM."""
_CARDS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""Nodes of NVIDIA's driver, of Windows' one under Linux, and of AMD's."""


def frame_precision(setting: str, *, device: Any = None) -> FramePrecision:
    """The precision that a setting means on a device.

    Text is always computed in fp32: a query is short, and bf16 would save little.

    Args:
        setting: ``auto``, ``fp32``, ``bf16`` or ``int8``.
        device: a ``torch.device``; ``None`` is the CPU, and needs no torch.

    Raises:
        ConfigError: torch runs no checkpoint in ``int8``; there is no such precision.
    """
    if setting == "fp32":
        return "fp32"
    if setting == "bf16":
        return "bf16"
    if setting == "int8":
        raise ConfigError(
            "torch runs no checkpoint in int8: make an ONNX export (`vidsearch model export`) and "
            "set VIDSEARCH_MODEL__NAME to its folder, or VIDSEARCH_MODEL__PRECISION to 'auto', "
            "'fp32' or 'bf16'"
        )
    if setting != "auto":
        raise ConfigError(
            f"there is no precision {setting!r}; set VIDSEARCH_MODEL__PRECISION to 'auto', 'fp32', "
            "'bf16' or 'int8'"
        )
    if device is None or device.type == "cpu":
        return "bf16" if cpu_has_bf16() else "fp32"
    if device.type == "cuda":
        import torch

        # Cards before Ampere only emulate it, and are slower for it.
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp32"
    return "fp32"


def cpu_has_bf16(cpu_info: Path = _CPU_INFO) -> bool:
    """Whether this CPU multiplies bf16 (AVX512-BF16, AMX, or ARM's extension).

    Only Linux says so without torch; elsewhere the answer is no.
    """
    try:
        return _has_bf16(cpu_info.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return False


@cache
def _has_bf16(cpu_info: str) -> bool:
    # Of every core: a process may be moved to one that lacks it.
    cores = re.findall(r"^(?:flags|Features)\s*:(.*)$", cpu_info, flags=re.MULTILINE)
    return bool(cores) and all(_BF16 & set(flags.split()) for flags in cores)


def may_have_card() -> bool:
    """Whether torch must be asked for a GPU: importing it takes a second."""
    return not _CPU_INFO.exists() or any(Path(node).exists() for node in _CARDS)
