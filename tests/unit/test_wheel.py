"""What ``pip install`` puts on a machine: the packages with their data, and nothing else."""

from __future__ import annotations

import email
import re
import runpy
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from vidsearch import __version__

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "vidsearch": ROOT / "plugin/vidsearch",
    "vidsearch_tasks": ROOT / "tasks/vidsearch_tasks",
    "vidsearch_mappings": ROOT / "mappings/vidsearch_mappings",
}


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of this checkout."""
    pytest.importorskip("hatchling", reason="hatchling is not installed: no wheel can be built")
    folder = tmp_path_factory.mktemp("dist")
    _build("sdist", folder, source=ROOT)
    (built,) = folder.glob("*.tar.gz")
    return built


@pytest.fixture(scope="module")
def wheel(sdist: Path) -> Path:
    """Built from the sdist, as an index would have it."""
    folder = sdist.parent
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


def test_the_sdist_holds_what_the_wheel_is_built_of_and_nothing_else(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    texts = {"README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "PKG-INFO", ".gitignore"}
    texts.add("hatch_build.py")
    assert {name for name in names if "/" not in name} == texts
    assert {name.partition("/")[0] for name in names if "/" in name} == {
        *("plugin", "tasks", "mappings"),
    }
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_both_have_texts_that_an_index_can_show(wheel: Path, sdist: Path) -> None:
    pytest.importorskip("twine")
    command = [sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(sdist)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_wheel_says_what_it_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        about = email.message_from_bytes(archive.read(name))
    assert about["Requires-Python"] == ">=3.10"
    assert {"worker", "query", "web"} <= set(about.get_all("Provides-Extra", []))
    assert about["Version"] == __version__


def test_what_an_index_shows_names_no_file_beside_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        about = email.message_from_bytes(archive.read(name))
    shown = about.get_payload()
    assert about["Description-Content-Type"] == "text/markdown"
    assert shown.startswith("# vidsearch\n")
    assert "pip install '.[worker]'" in shown
    assert re.findall(r"\]\((?!https?://).*?\)", shown) == []


def test_links_and_pictures_are_those_of_the_repository_where_one_is_named() -> None:
    pytest.importorskip("hatchling")
    described = runpy.run_path(str(ROOT / "hatch_build.py"))["long_description"]
    readme = (
        "[a `b`](docs/a.md#b), [c](#c), [d](https://d.example)\n\n![e](docs/e.png)\n\n"
        "```\n[f](g)\n```\n\n## More\n\n[h](docs/h.md)\n"
    )
    at = "https://git.example/of/it"
    assert described(readme, source=f"{at}/") == (
        f"[a `b`]({at}/blob/HEAD/docs/a.md#b), [c]({at}/blob/HEAD/README.md#c), "
        f"[d](https://d.example)\n\n![e]({at}/raw/HEAD/docs/e.png)\n\n"
        f"```\n[f](g)\n```\n\n## More\n\n[h]({at}/blob/HEAD/docs/h.md)\n"
    )
    assert described(readme, source=None) == (
        "a `b`, c, [d](https://d.example)\n\n```\n[f](g)\n```\n"
    )
