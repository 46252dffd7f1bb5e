"""What a worker embeds with, found out in a process of its own: ``python -m …model_probe``.

A worker answers questions in its parent process, which builds nothing, as its children are forked
from it. The settings go in as JSON over stdin, the facts come out as JSON on stdout.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from vidsearch.error_texts import first_line
from vidsearch.errors import VidsearchError

if TYPE_CHECKING:
    from vidsearch.config import IngestSettings, ModelSettings, Settings
    from vidsearch.encoders import Encoder

__all__ = ["UNKNOWN", "ModelProbe", "encoder_facts"]

UNKNOWN: dict[str, Any] = dict.fromkeys(
    ("encoder", "identity", "others", "precision", "problem"), None
)
"""The facts while they are being found out."""
_PROBLEM_SECONDS = 20.0
"""A problem is looked at again after so long: it may be mended."""
_SECTIONS = ("model", "ingest", "sources", "index")


def encoder_facts(encoder: Encoder) -> dict[str, Any]:
    """Class, identity and precision of an encoder. Loads no weights."""
    identity, kind = encoder.identity, type(encoder)
    return {
        **UNKNOWN,
        "encoder": f"{kind.__module__}.{kind.__qualname__}",
        "identity": identity.to_meta(),
        "precision": getattr(encoder, "precision", identity.precision),
    }


class ModelProbe:
    """Finds out in the background what the settings make a worker embed with."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._found: dict[str, Any] | None = None
        self._found_at = 0.0

    def facts(self) -> dict[str, Any]:
        """What is known; :data:`UNKNOWN` at first. The answer to a later call has it."""
        stale = time.monotonic() - self._found_at > _PROBLEM_SECONDS
        if self._found is not None and not (self._found["problem"] and stale):
            return self._found
        if self._process is None:
            self._process = self._started()
        if self._process.poll() is None:
            return UNKNOWN
        assert self._process.stdout is not None
        output, code = self._process.stdout.read(), self._process.returncode
        self._process.stdout.close()
        self._process, self._found_at = None, time.monotonic()
        try:
            self._found = {**UNKNOWN, **json.loads(output)}
        except ValueError:
            self._found = {**UNKNOWN, "problem": f"loading it ended with exit code {code}"}
        return self._found

    def _started(self) -> subprocess.Popen[bytes]:
        sections = {
            name: getattr(self._settings, name).model_dump(mode="json") for name in _SECTIONS
        }
        token = self._settings.model.token
        sections["model"]["token"] = None if token is None else token.get_secret_value()
        # Celery puts the working folder on the path, where an encoder of one's own may lie.
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        process = subprocess.Popen(
            [sys.executable, "-m", "vidsearch_tasks.model_probe"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=env,
        )
        assert process.stdin is not None
        with process.stdin as pipe:
            pipe.write(json.dumps(sections).encode())
        return process


def _facts(sections: dict[str, Any]) -> dict[str, Any]:
    from vidsearch.config import IndexSettings, IngestSettings, ModelSettings, SourceSettings
    from vidsearch.encoders import load_encoder
    from vidsearch.media.installed import require_installed

    ingest = IngestSettings.model_validate(sections["ingest"])
    model = ModelSettings(**sections["model"])
    try:
        facts = encoder_facts(load_encoder(model, ingest))
        facts["others"] = list(_others(model, ingest))
        sources, index = SourceSettings(**sections["sources"]), IndexSettings(**sections["index"])
        require_installed(ingest, sources, index)
    except VidsearchError as error:
        return {"problem": str(error)}
    except Exception as error:  # an encoder of somebody else's
        return {"problem": f"{type(error).__name__}: {first_line(error)}"}
    return facts


def _others(model: ModelSettings, ingest: IngestSettings) -> Iterator[dict[str, Any]]:
    """The identities of what ``model.others`` names, but for what cannot be loaded."""
    from vidsearch.encoders import load_encoder
    from vidsearch.encoders.pool import model_named

    for name in model.others:
        with suppress(VidsearchError):
            yield load_encoder(model_named(name, model), ingest).identity.to_meta()


if __name__ == "__main__":
    # What an encoder prints must not mix with the answer.
    answer, sys.stdout = sys.stdout, sys.stderr
    answer.write(json.dumps(_facts(json.load(sys.stdin))))
