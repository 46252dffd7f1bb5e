"""The app of ``fake_app`` whose decoding processes misbehave where a file's name tells them to."""

from __future__ import annotations

from functools import partial

from tests.integration.fake_app import app
from tests.misbehaving_child import COMMAND

import vidsearch.media.isolation.isolated_reader as isolation

__all__ = ["app"]

vars(isolation)["IsolatedReader"] = partial(isolation.IsolatedReader, _command=COMMAND)
