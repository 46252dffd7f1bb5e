"""What a benchmark found, kept per module as JSON, and the report that is written from it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from benchmarks.harness import QUIET, Measured

__all__ = ["Bar", "Section", "Verdict", "comparison", "load", "render", "save"]


@dataclass(frozen=True, slots=True)
class Bar:
    """How many times cheaper one way has to be than another."""

    way: str
    reference: str
    at_least: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """A bar, what was measured, and whether it holds."""

    bar: str
    measured: str
    outcome: Literal["holds", "even", "missed", "open"]
    """``even``: a bar of 1, and the rounds lie on both sides of it. ``open``: other processes were
    too busy to tell."""
    verdict: str
    """The outcome in words: ``holds``, or by how much it is missed."""

    @classmethod
    def of_figure(
        cls, bar: str, measured: str, *, missed_by: float, others: float | None = None
    ) -> Verdict:
        """Of a figure that is not a ratio of CPU times.

        Args:
            bar: what has to hold.
            measured: the figure.
            missed_by: as a share of the bar; up to 0 it holds.
            others: cores that other processes kept busy, where that would falsify the figure.
        """
        if others is not None and others > QUIET:
            return cls(
                bar, measured, "open", f"no verdict: other processes took {others:.2f} cores"
            )
        if missed_by <= 0:
            return cls(bar, measured, "holds", "holds")
        return cls(bar, measured, "missed", f"misses by {missed_by * 100:.1f} %")


@dataclass(frozen=True, slots=True)
class Section:
    """A table of the report."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = field(default=())

    def markdown(self) -> str:
        """Title, table, notes and verdicts."""
        parts = [f"### {self.title}\n", *_table(self.columns, self.rows), ""]
        for verdict in self.verdicts:
            parts.append(f"- {verdict.bar}: {verdict.measured}, **{verdict.verdict}**")
        parts += [f"- {note}" for note in self.notes]
        return "\n".join(parts).rstrip() + "\n"


def comparison(
    title: str,
    measured: Measured,
    *,
    references: Sequence[str],
    bars: Iterable[Bar] = (),
    notes: Iterable[str] = (),
) -> Section:
    """The section of ways that were measured against each other.

    A bar whose way or reference was not measured is left out.
    """
    rows = []
    for way in measured.cpu:
        ratios = [measured.ratio(reference, way) for reference in references]
        cells = [f"{r.median:.2f} ({r.low:.2f}-{r.high:.2f})" for r in ratios]
        rows.append((way, f"{measured.cpu_ms(way):.1f}", f"{measured.wall_ms(way):.1f}", *cells))
    return Section(
        title=title,
        columns=("way", "CPU ms", "wall ms", *(f"× {name}" for name in references)),
        rows=tuple(rows),
        notes=(*notes, f"other processes: up to {measured.others:.2f} cores"),
        verdicts=tuple(
            _judged(title, measured, bar)
            for bar in bars
            if bar.way in measured.cpu and bar.reference in measured.cpu
        ),
    )


def _judged(title: str, measured: Measured, bar: Bar) -> Verdict:
    ratio = measured.ratio(bar.reference, bar.way)
    rounds = f"rounds {ratio.low:.2f}-{ratio.high:.2f}"
    outcome: Literal["holds", "even", "missed"] = "holds"
    verdict = "holds"
    if ratio.median < bar.at_least:
        if bar.at_least == 1 and ratio.high >= 1:
            outcome, verdict = "even", f"even, {rounds}"
        else:
            outcome = "missed"
            verdict = f"misses by {(1 - ratio.median / bar.at_least) * 100:.1f} %, {rounds}"
    return Verdict(
        bar=f"{title}: {bar.way} against {bar.reference}, at least {bar.at_least:g}×",
        measured=f"{ratio.median:.2f}×",
        outcome=outcome,
        verdict=verdict,
    )


def save(folder: Path, module: str, sections: Sequence[Section], *, made: str) -> None:
    """Keep what a module found; ``made`` tells when and on what."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"made": made, "sections": [asdict(section) for section in sections]}
    (folder / f"{module}.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


def load(folder: Path, module: str) -> tuple[str, list[Section]] | None:
    """What :func:`save` kept, or ``None``."""
    try:
        content = json.loads((folder / f"{module}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return content["made"], [_section(each) for each in content["sections"]]


def _section(kept: dict[str, object]) -> Section:
    def rows(name: str) -> list[list[str]]:
        found = kept[name]
        assert isinstance(found, list)
        return found

    verdicts = kept["verdicts"]
    assert isinstance(verdicts, list)
    return Section(
        title=str(kept["title"]),
        columns=tuple(str(each) for each in rows("columns")),
        rows=tuple(tuple(row) for row in rows("rows")),
        notes=tuple(str(each) for each in rows("notes")),
        verdicts=tuple(Verdict(**each) for each in verdicts),
    )


def render(head: str, found: Sequence[tuple[str, str, Sequence[Section]]]) -> str:
    """The whole report.

    Args:
        head: what stands above everything.
        found: per module its title, when and on what it was made, and its sections.
    """
    verdicts = [v for _, _, sections in found for s in sections for v in s.verdicts]
    count = Counter(verdict.outcome for verdict in verdicts)
    tally = f"{count['holds']} hold, {count['even']} even, {count['missed']} missed"
    if count["open"]:
        tally += f", {count['open']} without a verdict"
    rows = [
        (v.bar, v.measured, v.verdict if v.outcome == "holds" else f"**{v.verdict}**")
        for v in verdicts
    ]
    parts = [head, f"## Bars: {tally}\n"]
    parts += [*_table(("bar", "measured", "verdict"), rows), ""]
    for title, made, sections in found:
        parts += [f"## {title}\n", f"{made}\n", *(section.markdown() for section in sections)]
    return "\n".join(parts)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    aligned = ("---", *("---:" for _ in columns[1:]))
    return [f"| {' | '.join(cells)} |" for cells in (columns, aligned, *rows)]
