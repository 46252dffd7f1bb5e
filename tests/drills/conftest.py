"""Fixtures of the drills, and their table at the end of the run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from tests.drills.report import PROPERTY, Report, table
from tests.drills.site import Site
from tests.killable import KillableNode, KillableRedis
from tests.services import RunningServices


@pytest.fixture(scope="module")
def site(services: RunningServices, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A node and a Redis of the drills' own."""
    folder = tmp_path_factory.mktemp("site")
    with services.needs("a search node or a Redis to be killed"):
        site = Site(
            KillableNode(folder / "node", "es-9.5.3"),
            KillableRedis(folder / "redis"),
        )
    servers = (site.node, site.redis)
    try:
        with services.needs("a search node or a Redis to be killed"):
            for server in servers:
                server.start()
        yield site
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def report(record_property: Any) -> Report:
    """Where a drill tells what it saw."""
    return Report(record_property)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for outcome in ("passed", "failed"):
        for test in terminalreporter.getreports(outcome):
            rows = [value for name, value in test.user_properties if name == PROPERTY]
            if test.when == "call" and rows:
                terminalreporter.section(test.nodeid)
                for line in table(rows):
                    terminalreporter.write_line(line)
