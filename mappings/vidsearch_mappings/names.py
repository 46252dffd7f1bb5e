"""Names that follow from the alias of the videos index."""

from __future__ import annotations

__all__ = ["write_alias_of"]


def write_alias_of(alias: str) -> str:
    """The alias of the indices that are both written during a reindex; absent otherwise."""
    return f"{alias}-write"
