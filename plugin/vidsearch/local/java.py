"""Finding a JDK: the newest that fits, wherever it is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vidsearch.errors import LocalError

__all__ = ["Jdk", "find_jdks", "pick_jdk"]

FOLDERS = (
    "/usr/lib/jvm/*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "/opt/homebrew/opt/openjdk*/libexec/openjdk.jdk/Contents/Home",
)


@dataclass(frozen=True, slots=True)
class Jdk:
    """A folder with ``bin/java`` and ``bin/javac``."""

    home: Path
    major: int

    @property
    def java(self) -> str:
        """Path of ``java``."""
        return str(self.home / "bin" / "java")

    @property
    def javac(self) -> str:
        """Path of ``javac``."""
        return str(self.home / "bin" / "javac")


def find_jdks(
    environ: Mapping[str, str] = os.environ, *, folders: Iterable[str] = FOLDERS
) -> tuple[Jdk, ...]:
    """Every JDK of ``JAVA_HOME``, of ``PATH`` and of the usual folders, newest first."""
    found: dict[Path, Jdk] = {}
    for candidate in _candidates(environ, folders):
        home = candidate.resolve()
        if home in found or not all(
            os.access(home / "bin" / tool, os.X_OK) for tool in ("java", "javac")
        ):
            continue
        major = _major(home)
        if major is not None:
            found[home] = Jdk(home, major)
    return tuple(sorted(found.values(), key=lambda jdk: jdk.major, reverse=True))


def pick_jdk(
    jdks: Iterable[Jdk], *, minimum: int, made_for: int | None = None, needed_for: str
) -> Jdk:
    """The newest JDK that fits.

    Args:
        minimum: lowest Java version that runs it at all.
        made_for: newest Java version it was made for; a newer one is the second choice.
        needed_for: what the error message says.

    Raises:
        LocalError: none fits; the message says what is there and what to install.
    """
    known = sorted(jdks, key=lambda jdk: jdk.major)
    fitting = [jdk for jdk in known if jdk.major >= minimum]
    best = [jdk for jdk in fitting if made_for is None or jdk.major <= made_for]
    if best:
        return best[-1]
    if fitting:
        return fitting[0]
    there = ", ".join(f"Java {jdk.major} in {jdk.home}" for jdk in known) or "no JDK"
    raise LocalError(
        f"{needed_for} needs a JDK (with javac) of Java {minimum} or newer; found {there}. "
        f"On Debian: apt-get install default-jdk-headless; elsewhere install one and set JAVA_HOME."
    )


def _candidates(environ: Mapping[str, str], folders: Iterable[str]) -> Iterator[Path]:
    if environ.get("JAVA_HOME"):
        yield Path(environ["JAVA_HOME"])
    for folder in environ.get("PATH", "").split(os.pathsep):
        javac = shutil.which("javac", path=folder) if folder else None
        if javac:
            yield Path(javac).resolve().parent.parent
    for pattern in folders:
        root = Path(pattern)
        yield from sorted(Path(root.anchor).glob(str(root.relative_to(root.anchor))))


def _major(home: Path) -> int | None:
    """The Java version, from the ``release`` file, else by asking ``java``."""
    try:
        text = (home / "release").read_text(errors="replace")
    except OSError:
        command = [str(home / "bin" / "java"), "-version"]
        try:
            answer = subprocess.run(
                command, capture_output=True, text=True, timeout=20, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        text = answer.stderr
    match = re.search(r'(?:JAVA_VERSION=|version )"(\d+)(?:\.(\d+))?', text)
    if match is None:
        return None
    # Java 8 and older call themselves 1.8 and so on.
    return int(match[2]) if match[1] == "1" and match[2] else int(match[1])
