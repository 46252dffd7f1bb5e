"""Installs a release: its jars, fetched with Maven once per user, and a compiled launcher."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from xml.sax.saxutils import escape

from vidsearch.errors import LocalError
from vidsearch.local.folders import locked
from vidsearch.local.java import Jdk
from vidsearch.local.releases import Release

__all__ = ["Installation", "cache_folder", "install"]

_LAYOUT = 1
"""Version of the layout of an installation; raise it when that changes."""

_MAVEN_SECONDS = 900

Talk = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Installation:
    """What the JVM needs to run a release."""

    home: Path
    """``path.home`` of the node; shared by all nodes of the release, never written to."""
    classpath: str


def cache_folder() -> Path:
    """Where installations are kept: ``$XDG_CACHE_HOME/vidsearch``, else ``~/.cache/vidsearch``."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "vidsearch" / "nodes"


def install(release: Release, jdk: Jdk, *, talk: Talk = lambda message: None) -> Installation:
    """Fetch and compile what is not in the cache yet. Safe to run in several processes at once.

    Raises:
        LocalError: Maven is missing or failed, or the launcher does not compile.
    """
    cache = cache_folder()
    home = cache / f"{release.name}-{_LAYOUT}"
    with _filled(home) as missing:
        if missing:
            _assemble(release, missing, talk=talk)
    jars = os.pathsep.join(str(folder / "*") for folder in (home / "lib", home / "bundles"))

    launcher = resources.files("vidsearch.local") / "launcher" / f"{release.launcher}.java"
    source = launcher.read_text(encoding="utf-8")
    key = hashlib.sha256(f"{source}\0{release.name}\0{jdk.home}\0{jdk.major}".encode())
    classes = cache / f"launcher-{key.hexdigest()[:16]}"
    with _filled(classes) as missing:
        if missing:
            _compile(source, release, jdk, jars, missing)
    return Installation(home, os.pathsep.join([str(classes), jars]))


@contextmanager
def _filled(folder: Path) -> Iterator[Path | None]:
    """Yield a fresh folder to fill, which then becomes ``folder``; ``None`` where that exists.

    The rename makes it appear whole or not at all; the lock makes one process do the work.
    """
    if folder.is_dir():
        yield None
        return
    with locked(folder.parent / f"{folder.name}.lock"):
        if folder.is_dir():
            yield None
            return
        partial = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)  # left by a run that was killed
        partial.mkdir()
        try:
            yield partial
            partial.rename(folder)
        except OSError as error:
            raise LocalError(f"cannot fill {folder}: {error}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _assemble(release: Release, home: Path, *, talk: Talk) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise LocalError(
            f"{release.title} is fetched with Maven, and there is no `mvn` on PATH. "
            "On Debian: apt-get install maven"
        )
    talk(f"fetching {release.title} with Maven (once; about 50 MB)")
    library, bundles = home / "lib", home / "bundles"
    for name in ("lib", "bundles", "config", "plugins", "modules"):
        (home / name).mkdir()
    _copy_dependencies(maven, release, library)
    for archive in sorted(library.glob("*.zip")):  # OpenSearch's plugins join the class path
        with zipfile.ZipFile(archive) as opened:
            for member in opened.namelist():
                if member.endswith(".jar"):
                    (bundles / Path(member).name).write_bytes(opened.read(member))
        archive.unlink()
    if release.kind == "elasticsearch":
        _make_netty_module(release, library, home / "modules" / "transport-netty4")


def _make_netty_module(release: Release, library: Path, module: Path) -> None:
    """Elasticsearch loads its HTTP transport as a plugin bundle, not from the class path."""
    module.mkdir()
    own = library / f"transport-netty4-{release.version}.jar"
    with zipfile.ZipFile(own) as opened:
        descriptor = opened.read(
            "META-INF/es-plugins/transport-netty4/plugin-descriptor.properties"
        ).decode()
    # A named module would want the server to be one too; here it runs from the class path.
    lines = [line for line in descriptor.splitlines() if not line.startswith("modulename=")]
    (module / "plugin-descriptor.properties").write_text("\n".join(lines) + "\n")
    for jar in [own, *library.glob("netty-*.jar")]:
        jar.rename(module / jar.name)


def _copy_dependencies(maven: str, release: Release, target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="vidsearch-maven-") as folder:
        (Path(folder) / "pom.xml").write_text(_pom(release))
        command = [maven, "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={target}"]
        try:
            answer = subprocess.run(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_MAVEN_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise LocalError(
                f"Maven did not fetch {release.title} in {_MAVEN_SECONDS} s; try again later"
            ) from error
    if answer.returncode != 0:
        output = "\n".join((answer.stdout + answer.stderr).strip().splitlines()[-12:])
        raise LocalError(
            f"Maven could not fetch {release.title}; is a Maven repository reachable from here? "
            f"It said:\n{output}"
        )


def _pom(release: Release) -> str:
    dependencies = "".join(
        f"<dependency><groupId>{escape(each.group)}</groupId>"
        f"<artifactId>{escape(each.name)}</artifactId><version>{escape(each.version)}</version>"
        f"<type>{escape(each.type)}</type></dependency>"
        for each in release.artifacts
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>vidsearch</groupId><artifactId>parts</artifactId><version>1</version>"
        f"<dependencies>{dependencies}</dependencies></project>"
    )


def _compile(source: str, release: Release, jdk: Jdk, jars: str, target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="vidsearch-javac-") as folder:
        file = Path(folder) / f"{release.launcher}.java"
        file.write_text(source, encoding="utf-8")
        command = [jdk.javac, "-encoding", "UTF-8", "-d", str(target), "-cp", jars, str(file)]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        output = "\n".join(answer.stderr.strip().splitlines()[:12])
        raise LocalError(f"the launcher of {release.title} does not compile:\n{output}")
