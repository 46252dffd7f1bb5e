"""``.ci/run`` fails where the tests or the checks fail, runs both, and shows what both say."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.docs_pages import ROOT

_MAKE = """#!/bin/sh
echo "out of $1"
echo "wrong in $1" >&2
[ "$1" != test ] || exit "$TEST"
exit "$CHECK"
"""


def _script(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("test", "check", "last"),
    [
        (0, 0, "make test passed, make check passed."),
        (2, 0, "make test failed, make check passed."),
        (0, 2, "make test passed, make check failed."),
        (2, 2, "make test failed, make check failed."),
    ],
)
def test_a_failure_of_either_half_fails_the_run_after_both_have_ended(
    test: int, check: int, last: str, tmp_path: Path
) -> None:
    _script(tmp_path / "scripts" / "setup", "#!/bin/sh\n")
    _script(tmp_path / "bin" / "make", _MAKE)
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    environment = {
        **os.environ,
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "TMPDIR": str(tmp_path),
        "TEST": str(test),
        "CHECK": str(check),
    }

    done = subprocess.run(
        [tmp_path / ".ci" / "run"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )

    lines = done.stdout.splitlines()
    assert (done.returncode == 0) == (test == check == 0)
    assert {"out of test", "wrong in test"} <= {*lines[: lines.index("make check:")]}
    assert {"out of check", "wrong in check"} <= {*lines[lines.index("make check:") :]}
    assert lines[-1] == last
    assert sorted(path.name for path in tmp_path.iterdir()) == [".ci", "bin", "scripts"]
