"""What a drill did and saw, as a table at the end of the test run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

__all__ = ["PROPERTY", "Report", "table"]

PROPERTY = "drill"
"""Under which the rows go with the report of a test."""


@dataclass(frozen=True)
class Report:
    """Collects the rows of one drill; ``record`` is pytest's ``record_property``."""

    record: Callable[[str, object], None]

    def row(self, what: str, times: int | str, seen: str) -> None:
        """Add a row: a fault or a question, how often or how many, and what was seen."""
        self.record(PROPERTY, (what, str(times), seen))


def table(rows: Iterable[tuple[str, str, str]]) -> list[str]:
    """The rows as lines of a Markdown table with even columns."""
    lines = [("what", "times", "seen"), *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    cells = [" | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True))
             for line in lines]  # fmt: skip
    rule = "-|-".join("-" * width for width in widths)
    return [f"| {line} |" for line in (cells[0], rule, *cells[1:])]
