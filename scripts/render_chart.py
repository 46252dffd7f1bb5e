"""Render the Helm chart with some sets of values into tests/data/helm, or check what is there.

    python scripts/render_chart.py [--check]

Needs ``helm``. The tests read what is rendered, also where there is no helm: each file begins with
the digest of the chart that it was made of.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "deploy" / "helm" / "vidsearch"
RENDERED = ROOT / "tests" / "data" / "helm"
_HEAD = "# Rendered by `make chart` from a chart with the SHA-256 "


def digest() -> str:
    """Of all files of the chart, with their names."""
    found = hashlib.sha256()
    for path in sorted(path for path in CHART.rglob("*") if path.is_file()):
        found.update(path.relative_to(CHART).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def sets_of_values() -> dict[str, Path]:
    """Values by the name of what they render."""
    return {path.name.split(".")[0]: path for path in sorted(RENDERED.glob("*.values.yaml"))}


def rendered(values: Path) -> str:
    """What helm makes of them."""
    command = ["helm", "template", "shop", str(CHART), "--namespace", "video", "-f", str(values)]
    # A helm that was built by hand believes in an old one.
    command += ["--kube-version", "1.34.0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return f"{_HEAD}{digest()}\n{done.stdout}"


def main() -> int:
    """Write or check; exit code 1 where a file is stale."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    check = parser.parse_args().check
    if shutil.which("helm") is None:
        raise SystemExit("helm is missing: see helm.sh, or `go install helm.sh/helm/v3/cmd/helm`")
    subprocess.run(["helm", "lint", "--strict", str(CHART)], check=True)
    stale = 0
    for name, values in sets_of_values().items():
        path, text = RENDERED / f"{name}.yaml", rendered(values)
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        if not check:
            path.write_text(text, encoding="utf-8")
        print(f"{'stale' if check else 'wrote'}: {path.relative_to(ROOT)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
