"""``scripts/check_extras.py`` knows every extra, and the bare wheel runs (``make extras``: all)."""

from __future__ import annotations

import runpy
import subprocess
import sys

import pytest
from packaging.requirements import Requirement
from tests.docs_pages import EXTRAS, ROOT
from tests.programs import unavailable

SCRIPT = ROOT / "scripts" / "check_extras.py"


def test_every_extra_is_tried_by_the_script() -> None:
    assert set(runpy.run_path(str(SCRIPT))["IMPORTS"]) == set(EXTRAS) - {"dev"}


@pytest.mark.parametrize(
    ("extra", "package"), [("web", "aiohttp"), ("web", "pillow"), ("mcp", "aiohttp")]
)
def test_servers_bring_what_searching_in_an_event_loop_and_by_a_picture_takes(
    extra: str, package: str
) -> None:
    assert package in brought_by(extra)


def brought_by(extra: str) -> set[str]:
    """Names of packages, also of extras that an extra names."""
    wanted = [Requirement(each) for each in EXTRAS[extra]]
    ours = [name for each in wanted if each.name == "vidsearch" for name in each.extras]
    return {each.name for each in wanted}.union(*map(brought_by, ours))


def test_the_bare_wheel_has_a_command_and_no_extra() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--only", "bare"],
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    if done.returncode:
        unavailable(f"the wheel could not be installed here: {done.stdout}{done.stderr}")
    assert done.stdout.startswith("bare ")
