"""``python -m benchmarks.uploads``: memory that decoding a picture of a client takes.

Each form is decoded in a process of its own; prints what that adds to the process's high-water mark
(VmHWM), the bytes of the file included. Not part of ``python -m benchmarks``.
"""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable

import numpy as np

from benchmarks.harness import megabytes
from vidsearch.config import Settings

SMALL, LARGE = (4096, 2160), (8192, 4320)
"""The most that ``web.max_pixels`` and ``sources.max_pixels`` allow by default."""


def main() -> None:
    """All forms, or the one that is named."""
    if len(sys.argv) > 1:
        print(_added(sys.argv[1]))
        return
    for name in FORMS:
        command = [sys.executable, "-m", "benchmarks.uploads", name]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        print(f"{name:40} {float(done.stdout):5.0f} MB")


def _added(form: str) -> float:
    from vidsearch.media import rgb_pixels
    from vidsearch.web.uploads import opened_upload

    file = subprocess.run(
        [sys.executable, "-c", f"from benchmarks.uploads import FORMS, write; write({form!r})"],
        check=True,
        capture_output=True,
    ).stdout
    settings = Settings()
    rgb_pixels(opened_upload(_encoded("L", (64, 64), "PNG"), settings))  # loads the libraries
    before = megabytes("VmRSS")
    rgb_pixels(opened_upload(file, settings))
    return megabytes("VmHWM") - before + len(file) / 2**20


def write(form: str) -> None:
    """Make the file of a form and write it to stdout; in another process, as that takes memory."""
    sys.stdout.buffer.write(FORMS[form]())


def _encoded(mode: str, size: tuple[int, int], format: str, **options: object) -> bytes:
    from PIL import Image

    width, height = size
    ramp = np.add.outer(np.arange(height), np.arange(width))
    if mode == "I;16":
        image = Image.fromarray((ramp * 5 % 65536).astype(np.uint16))
    else:
        image = Image.fromarray((ramp // 16 % 256).astype(np.uint8)).convert(mode)
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


FORMS: dict[str, Callable[[], bytes]] = {
    "PNG, RGB, 4096x2160": lambda: _encoded("RGB", SMALL, "PNG"),
    "PNG, RGBA, 4096x2160": lambda: _encoded("RGBA", SMALL, "PNG"),
    "PNG, 16 bits of grey, 4096x2160": lambda: _encoded("I;16", SMALL, "PNG"),
    "WebP, 4096x2160": lambda: _encoded("RGB", SMALL, "WEBP", method=0),
    "AVIF, 4096x2160": lambda: _encoded("RGB", SMALL, "AVIF", speed=10),
    "JPEG, 8192x4320": lambda: _encoded("RGB", LARGE, "JPEG"),
    "progressive JPEG, 8192x4320": lambda: _encoded("RGB", LARGE, "JPEG", progressive=True),
}


if __name__ == "__main__":
    main()
