"""What the figures were measured on, and with which versions."""

from __future__ import annotations

import os
import platform
import re
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["head", "made_on"]

_PACKAGES = (
    "numpy",
    "torch",
    "transformers",
    "onnxruntime",
    "tokenizers",
    "opencv-python-headless",
    "av",
    "pillow",
    "torchcodec",
)


def head() -> str:
    """What stands above the figures."""
    return (
        "# Benchmarks\n\n"
        "Written by `make bench` (`python -m benchmarks --torchcodec`; one module again: `--only "
        "decode`). Never edit by hand.\n\n"
        "Every figure is a ratio to a reference measured in the same run. All ways of a table run "
        "in turn in one process, the order reversed every other round; the quieter half of the "
        "rounds is kept, by the CPU time that other processes used. `× reference` is the median of "
        "reference / way within a round (smallest-largest), in CPU time of the process and its "
        "children: above 1 is cheaper than the reference. Absolute times say little on a shared "
        "machine. Clips are made in the run: a Mandelbrot zoom averaged with a test pattern plus "
        "noise, H.264 by x264 `veryfast` where nothing else is said. A way whose frames are not "
        "byte-identical gets no ratio. One decoding thread and one torch thread, but for OpenCV's "
        "seek and where a way says otherwise. The model has the shape of ViT-B/32 and random "
        "weights: that tells speed and numerical noise, not what int8 or bf16 do to the ranking of "
        "a trained one.\n"
    )


def made_on(module: str, *, rounds: int, seconds: float) -> str:
    """When, how and on what a module's figures were made."""
    versions = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    return (
        f"`python -m benchmarks --only {module}`, {rounds} rounds, {seconds:.0f} s, "
        f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC. {_processor()}, {os.cpu_count()} cores, "
        f"{_memory()}, Python {platform.python_version()}, {versions}; {_ffmpeg()}."
    )


def _processor() -> str:
    names = re.findall(r"^model name\s*:\s*(.+)$", _text("/proc/cpuinfo"), re.MULTILINE)
    return names[0] if names else platform.machine()


def _memory() -> str:
    found = re.search(r"^MemTotal:\s*(\d+) kB", _text("/proc/meminfo"), re.MULTILINE)
    return f"{int(found[1]) / 2**20:.0f} GiB" if found else "memory unknown"


def _ffmpeg() -> str:
    """libavcodec's version in each library that brings its own."""
    import av
    import cv2

    built = re.search(r"avcodec:\s+YES \(([\d.]+)\)", cv2.getBuildInformation())
    ours = ".".join(map(str, av.library_versions["libavcodec"]))
    return f"libavcodec {ours} in PyAV, {built[1] if built else 'unknown'} in OpenCV"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
