"""The servers that drills take place on."""

from __future__ import annotations

from dataclasses import dataclass

from tests.killable import KillableNode, KillableRedis

__all__ = ["Site"]


@dataclass(frozen=True)
class Site:
    """Where drills take place."""

    node: KillableNode
    redis: KillableRedis
