"""Which release is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidsearch.errors import LocalError
from vidsearch.local.java import Jdk
from vidsearch.local.releases import release


@pytest.mark.parametrize(
    ("majors", "expected"),
    [([25, 17], "9.5.3"), ([21], "9.5.3"), ([17], "8.19.21"), ([], "8.19.21")],
)
def test_default_elasticsearch_is_the_newest_for_the_installed_java(
    majors: list[int], expected: str
) -> None:
    jdks = [Jdk(Path(f"/jdk-{major}"), major) for major in majors]
    assert release("elasticsearch", jdks=jdks).version == expected


def test_default_opensearch_is_the_newest_release() -> None:
    chosen = release("opensearch")
    assert (chosen.name, chosen.java_minimum) == ("opensearch-2.19.1", 17)


@pytest.mark.parametrize(
    ("kind", "version"),
    [
        ("elasticsearch", "8.18.0"),
        ("elasticsearch", "9"),
        ("elasticsearch", "newest"),
        ("opensearch", "3.5.0"),
        ("opensearch", "9.5.3"),
    ],
)
def test_release_that_cannot_run_is_refused_with_those_that_can(kind: str, version: str) -> None:
    with pytest.raises(LocalError, match=r"cannot be started here; try \d"):
        release(kind, version)


def test_unknown_engine_is_refused() -> None:
    with pytest.raises(LocalError, match="unknown engine 'solr'"):
        release("solr")
