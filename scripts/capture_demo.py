"""Run ``vidsearch demo`` and keep what it prints as a picture: docs/demo.svg.

python scripts/capture_demo.py [--engine opensearch]
"""

from __future__ import annotations

import argparse
import os
import pty
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 104


def run_in_terminal(command: list[str]) -> str:
    """What the command writes to stdout where that is a terminal; stderr goes to ours."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(WIDTH), "TERM": "xterm-256color"}
    child = subprocess.Popen(command, stdout=theirs, stdin=subprocess.DEVNULL, env=environment)
    os.close(theirs)
    chunks = []
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # the terminal's other side is closed
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(ours)
    if child.wait() != 0:
        raise SystemExit(f"{' '.join(command)} ended with exit code {child.returncode}")
    return b"".join(chunks).decode().replace("\r\n", "\n")


def main() -> int:
    """Run the demo and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", default="elasticsearch")
    engine = parser.parse_args().engine
    command = ["demo", "--engine", engine, "--clips", "8"]
    text = run_in_terminal([sys.executable, "-m", "vidsearch.cli", *command])
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True)
        console.print(Text.from_ansi(text.strip("\n")))
        svg = console.export_svg(title=f"vidsearch {' '.join(command)}")
    (ROOT / "docs" / "demo.svg").write_text(svg, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
