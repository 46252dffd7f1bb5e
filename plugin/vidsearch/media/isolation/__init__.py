"""Decoding in a child process, so that a codec that hangs or crashes takes nothing along.

``isolated_reader`` is the worker's side, ``child`` the other one. Nothing is imported here: the
child does without what only the worker needs.
"""

from __future__ import annotations
