"""Fetching jars once and for all, with a made-up Maven and JDK."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from vidsearch.errors import LocalError
from vidsearch.local.installation import cache_folder, install
from vidsearch.local.java import Jdk
from vidsearch.local.releases import release

DESCRIPTOR = "META-INF/es-plugins/transport-netty4/plugin-descriptor.properties"


def _program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def jdk(tmp_path: Path) -> Jdk:
    """A JDK whose compiler notes each run and writes one class."""
    home = tmp_path / "jdk"
    log = tmp_path / "javac.log"
    _program(
        home / "bin" / "javac",
        f'echo "$@" >> {log}\n'
        'while [ "$1" != -d ]; do shift; done\necho class > "$2/Launcher.class"',
    )
    return Jdk(home, 21)


@pytest.fixture
def maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Put a ``mvn`` on the path that runs a script with the target folder in ``$target``."""
    jars = tmp_path / "jars"
    jars.mkdir()
    with zipfile.ZipFile(jars / "transport-netty4-9.5.3.jar", "w") as jar:
        jar.writestr(DESCRIPTOR, "name=transport-netty4\nmodulename=org.example\n")
    for name in ("netty-common-4.jar", "elasticsearch-9.5.3.jar"):
        (jars / name).write_text(name)
    with zipfile.ZipFile(jars / "opensearch-knn.zip", "w") as archive:
        archive.writestr("opensearch-knn.jar", "jar")
        archive.writestr("LICENSE.txt", "text")

    def install(script: str = f"cp {jars}/* $target") -> Path:
        log = tmp_path / "mvn.log"
        _program(
            tmp_path / "bin" / "mvn",
            f"echo run >> {log}\nfor each; do target=${{each#-DoutputDirectory=}}; done\n{script}",
        )
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
        return log

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return install


def test_elasticsearch_home_has_jars_modules_and_launcher(
    maven: Callable[..., Path], jdk: Jdk
) -> None:
    maven()
    installation = install(release("elasticsearch", "9.5.3"), jdk)

    module = installation.home / "modules" / "transport-netty4"
    assert {each.name for each in module.iterdir()} == {
        "transport-netty4-9.5.3.jar",
        "netty-common-4.jar",
        "plugin-descriptor.properties",
    }
    assert (module / "plugin-descriptor.properties").read_text() == "name=transport-netty4\n"
    assert [each.name for each in (installation.home / "lib").glob("*.jar")] == [
        "elasticsearch-9.5.3.jar"
    ]
    classes, *jars = installation.classpath.split(":")
    assert (Path(classes) / "Launcher.class").exists()
    assert str(installation.home / "lib" / "*") in jars


def test_opensearch_plugins_are_on_the_class_path(maven: Callable[..., Path], jdk: Jdk) -> None:
    maven()
    installation = install(release("opensearch"), jdk)
    assert [each.name for each in (installation.home / "bundles").iterdir()] == [
        "opensearch-knn.jar"
    ]
    assert not list((installation.home / "lib").glob("*.zip"))
    assert str(installation.home / "bundles" / "*") in installation.classpath.split(":")


def test_second_run_needs_neither_maven_nor_compiler(
    maven: Callable[..., Path], jdk: Jdk, tmp_path: Path
) -> None:
    maven()
    said: list[str] = []
    first = install(release("opensearch"), jdk, talk=said.append)
    (tmp_path / "bin" / "mvn").unlink()
    (jdk.home / "bin" / "javac").unlink()
    assert install(release("opensearch"), jdk, talk=said.append) == first
    assert len(said) == 1
    assert "OpenSearch 2.19.1" in said[0]


def test_launcher_is_compiled_per_java(maven: Callable[..., Path], jdk: Jdk) -> None:
    log = maven()
    chosen = release("opensearch")
    assert install(chosen, jdk).classpath != install(chosen, Jdk(jdk.home, 22)).classpath
    assert log.read_text() == "run\n"


def test_missing_maven_is_refused_with_advice(
    jdk: Jdk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalError, match=r"no `mvn` on PATH\. On Debian: apt-get install"):
        install(release("elasticsearch", "9.5.3"), jdk)


def test_failed_maven_is_quoted_and_leaves_no_folder(maven: Callable[..., Path], jdk: Jdk) -> None:
    maven("touch $target/half.jar; echo '[ERROR] Could not resolve dependencies'; exit 1")
    with pytest.raises(LocalError, match=r"reachable from here\? It said:\n\[ERROR\] Could not"):
        install(release("opensearch"), jdk)
    assert [each.suffix for each in cache_folder().iterdir()] == [".lock"]

    log = maven()
    assert install(release("opensearch"), jdk).home.is_dir()
    assert log.read_text() == "run\nrun\n"


def test_launcher_that_does_not_compile_is_an_error(maven: Callable[..., Path], jdk: Jdk) -> None:
    maven()
    _program(jdk.home / "bin" / "javac", "echo 'error: cannot find symbol' >&2; exit 1")
    with pytest.raises(LocalError, match="does not compile:\nerror: cannot find symbol"):
        install(release("opensearch"), jdk)


def test_leftover_of_a_killed_run_is_removed(maven: Callable[..., Path], jdk: Jdk) -> None:
    maven()
    partial = cache_folder() / "opensearch-2.19.1-1.partial"
    (partial / "lib").mkdir(parents=True)
    (partial / "lib" / "half.jar").write_text("half")
    installation = install(release("opensearch"), jdk)
    assert not (installation.home / "lib" / "half.jar").exists()
    assert not partial.exists()


def test_concurrent_processes_download_once(
    maven: Callable[..., Path], jdk: Jdk, tmp_path: Path
) -> None:
    log = maven(f"sleep 0.5; cp {tmp_path / 'jars'}/* $target")
    script = (
        "from pathlib import Path\n"
        "from vidsearch.local.java import Jdk\n"
        "from vidsearch.local.installation import install\n"
        "from vidsearch.local.releases import release\n"
        f"print(install(release('opensearch'), Jdk(Path({str(jdk.home)!r}), 21)).classpath)\n"
    )
    command = [sys.executable, "-c", script]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = {run.communicate(timeout=120)[0] for run in runs}
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert len(answers) == 1
    assert log.read_text() == "run\n"
    assert len((tmp_path / "javac.log").read_text().splitlines()) == 1
