"""Finding a JDK in a made-up file system."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidsearch.errors import LocalError
from vidsearch.local.java import Jdk, find_jdks, pick_jdk


def _install(
    home: Path, version: str | None, *, tools: tuple[str, ...] = ("java", "javac")
) -> Path:
    (home / "bin").mkdir(parents=True)
    for tool in tools:
        program = home / "bin" / tool
        program.write_text("#!/bin/sh\necho 'openjdk version \"21.0.2\" 2024-01-16' >&2\n")
        program.chmod(0o755)
    if version is not None:
        (home / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    return home


def test_jdks_of_every_place_are_found_newest_first(tmp_path: Path) -> None:
    named = _install(tmp_path / "named", "17.0.15")
    on_path = _install(tmp_path / "on-path", "25")
    usual = _install(tmp_path / "jvm" / "usual", "1.8.0_392")

    found = find_jdks(
        {"JAVA_HOME": str(named), "PATH": f"{tmp_path}/none::{on_path}/bin"},
        folders=[f"{tmp_path}/jvm/*"],
    )

    assert found == (Jdk(on_path, 25), Jdk(named, 17), Jdk(usual, 8))


def test_jdk_behind_several_links_is_found_once(tmp_path: Path) -> None:
    home = _install(tmp_path / "jvm" / "java-21", "21.0.1")
    (tmp_path / "jvm" / "default").symlink_to(home)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "javac").symlink_to(home / "bin" / "javac")

    environ = {"JAVA_HOME": str(tmp_path / "jvm" / "default"), "PATH": str(tmp_path / "bin")}

    assert find_jdks(environ, folders=[f"{tmp_path}/jvm/*"]) == (Jdk(home, 21),)


def test_java_without_compiler_is_no_jdk(tmp_path: Path) -> None:
    _install(tmp_path / "jvm" / "jre", "21", tools=("java",))
    assert find_jdks({}, folders=[f"{tmp_path}/jvm/*"]) == ()


def test_version_without_a_release_file_is_asked_of_java(tmp_path: Path) -> None:
    home = _install(tmp_path / "jvm" / "plain", None)
    assert find_jdks({}, folders=[f"{tmp_path}/jvm/*"]) == (Jdk(home, 21),)


def test_broken_java_is_ignored(tmp_path: Path) -> None:
    home = _install(tmp_path / "jvm" / "broken", None)
    (home / "bin" / "java").write_text("#!/bin/sh\necho nonsense\n")
    assert find_jdks({}, folders=[f"{tmp_path}/jvm/*"]) == ()


@pytest.mark.parametrize(
    ("installed", "minimum", "made_for", "expected"),
    [
        ([17, 21, 25], 21, None, 25),
        ([17, 21, 25], 17, 21, 21),
        ([11, 17, 25], 17, 21, 17),
        ([11, 25, 23], 17, 21, 23),
    ],
)
def test_newest_suitable_jdk_is_picked(
    installed: list[int], minimum: int, made_for: int | None, expected: int
) -> None:
    jdks = [Jdk(Path(f"/jdk-{major}"), major) for major in installed]
    picked = pick_jdk(jdks, minimum=minimum, made_for=made_for, needed_for="X")
    assert picked.major == expected


def test_no_suitable_jdk_is_refused_with_those_found_and_advice() -> None:
    with pytest.raises(LocalError) as caught:
        pick_jdk([Jdk(Path("/opt/old"), 11)], minimum=17, needed_for="OpenSearch 2.19.1")
    assert str(caught.value) == (
        "OpenSearch 2.19.1 needs a JDK (with javac) of Java 17 or newer; found Java 11 in "
        "/opt/old. On Debian: apt-get install default-jdk-headless; elsewhere install one and set "
        "JAVA_HOME."
    )


def test_no_jdk_at_all_is_refused_with_advice() -> None:
    with pytest.raises(LocalError, match="found no JDK"):
        pick_jdk([], minimum=17, needed_for="X")
