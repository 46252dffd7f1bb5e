"""What ``pip install`` puts on a machine: the packages with their data, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "vidsearch": ROOT / "plugin/vidsearch",
    "vidsearch_tasks": ROOT / "tasks/vidsearch_tasks",
    "vidsearch_mappings": ROOT / "mappings/vidsearch_mappings",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from an sdist, as an index would have it."""
    pytest.importorskip("hatchling", reason="hatchling is not installed: no wheel can be built")
    folder = tmp_path_factory.mktemp("dist")
    _build("sdist", folder, source=ROOT)
    (sdist,) = folder.glob("*.tar.gz")
    subprocess.run(["tar", "-xzf", str(sdist), "-C", str(folder)], check=True)
    (source,) = (path for path in folder.iterdir() if path.is_dir())
    _build("wheel", folder, source=source)
    (built,) = folder.glob("*.whl")
    return built


def _build(target: str, folder: Path, *, source: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_wheel_holds_the_packages_with_their_data_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        f"{package}/{path.relative_to(folder).as_posix()}"
        for package, folder in PACKAGES.items()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == expected
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert "vidsearch/encoders/demo_checkpoint/model.safetensors" in names
    assert "vidsearch/local/launcher/ElasticsearchLauncher.java" in names


def test_the_wheel_has_its_licence_and_its_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        about = {
            name.split("/", 1)[1]: name for name in archive.namelist() if ".dist-info/" in name
        }
        assert "licenses/LICENSE" in about
        commands = archive.read(about["entry_points.txt"]).decode()
    assert "vidsearch = vidsearch.cli:main" in commands
