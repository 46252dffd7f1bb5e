"""``vidsearch demo``, as a user runs it: what it promises comes first, and nothing stays behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.services import SHORT_LIVED, RunningServices
from tests.waiting import until_none_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.mark.parametrize(
    ("node", "options", "clips"),
    [
        ("es-9.5.3", (), 24),
        pytest.param(
            *("os-2.19.1", ("--engine", "opensearch", "--clips", "8"), 8), marks=pytest.mark.drill
        ),
    ],
)
def test_demo_finds_the_clips_that_it_announces_and_leaves_nothing(
    services: RunningServices, tmp_path: Path, node: str, options: tuple[str, ...], clips: int
) -> None:
    services.require(node)  # skips with the reason where the engine cannot be had here
    answer = subprocess.run(
        [sys.executable, "-m", "vidsearch.cli", "demo", *options],
        env={**os.environ, **SHORT_LIVED, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert f"Ingesting: {clips}/{clips}" in answer.stderr
    registry, keyword, vector, hybrid, moment = re.split(
        r"\n\n(?=Keyword|Vector|Hybrid|A moment)", answer.stdout
    )
    rows = [line.split("\t") for line in registry.splitlines()[1:]]
    assert len(rows) == clips
    assert {row[2] for row in rows} == {"indexed"}

    place = re.search(r"'(\w+)'", keyword)
    assert place is not None
    assert all(place[1] in hit[2] for hit in _hits(keyword))
    assert _hits(vector)[0][1] == _promised(vector)
    assert _hits(hybrid)[0][1] == _promised(hybrid)
    best = _hits(moment)[0]
    assert best[1] == _promised(moment)
    start = re.search(r"from (\d+) s on", moment)
    assert start is not None
    assert best[5].startswith(f"0:{start[1]}–")

    assert list(tmp_path.glob("vidsearch*")) == []
    until_none_of(tmp_path)


def _promised(section: str) -> str:
    """The id that the demo says has what is searched for."""
    found = re.search(r"\((demo-\d+) (?:shows|has)", section)
    assert found is not None
    return found[1]


def _hits(section: str) -> list[list[str]]:
    """The rows of the table, without its heading."""
    rows = [line.split("\t") for line in section.strip().splitlines() if "\t" in line]
    assert rows[0][:3] == ["#", "id", "title"]
    assert len(rows) > 1
    return rows[1:]
