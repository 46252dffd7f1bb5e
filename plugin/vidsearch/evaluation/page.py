"""One self-contained HTML page: no script, no file beside it, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from vidsearch import __version__
from vidsearch.errors import EvaluationError

__all__ = ["Page"]

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2430; --soft: #5b6675; --line: #d9dee5;
  --c0: #0b6e99; --c1: #c2571a; --c2: #2f7d4f; --c3: #8a4fa3; --c4: #a67c00; --c5: #b03060; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181e; --ink: #e6e9ee; --soft: #9aa5b4;
  --line: #343c47; --c0: #5bb8e0; --c1: #f09a5f; --c2: #7cc99a; --c3: #c79ae0; --c4: #dcb93c;
  --c5: #f080a8; } }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 70rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; }
p, figcaption { color: var(--soft); margin: .25rem 0 .75rem; max-width: 48rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem .3rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
th { font-weight: 600; white-space: nowrap; }
td.n, th.n { text-align: right; } td small { display: block; color: var(--soft);
  white-space: nowrap; }
figure { margin: 1rem 0 0; } svg { width: 100%; max-width: 46rem; height: auto; display: block; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
svg .grid { stroke: var(--line); fill: none; } svg .axis { stroke: var(--soft); fill: none; }
svg .whisker { stroke: var(--ink); fill: none; stroke-width: 1.5; }
.s0 { fill: var(--c0); background: var(--c0); } .s1 { fill: var(--c1); background: var(--c1); }
.s2 { fill: var(--c2); background: var(--c2); } .s3 { fill: var(--c3); background: var(--c3); }
.s4 { fill: var(--c4); background: var(--c4); } .s5 { fill: var(--c5); background: var(--c5); }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; padding: 0;
  margin: .25rem 0 0; font-size: .85rem; }
.legend i { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px;
  margin-right: .4rem; vertical-align: -1px; }
.query { border-top: 1px solid var(--line); padding: .75rem 0; }
.query b { font-weight: 600; } .films { display: flex; flex-wrap: wrap; gap: .75rem;
  margin-top: .5rem; }
.films figure { margin: 0; width: 10rem; } .films img { width: 100%; display: block;
  border-radius: 4px; } .films figcaption { font-size: .8rem; margin: .25rem 0 0;
  overflow-wrap: anywhere; }
.films .right img { outline: 3px solid var(--c2); }
"""


@dataclass(slots=True)
class Page:
    """Collects the parts of a page in their order. All texts are escaped here."""

    title: str
    lead: str
    """A sentence below the title."""
    _parts: list[str] = field(default_factory=list, init=False, repr=False)

    def heading(self, text: str, note: str = "") -> None:
        """Begin a part, with what a reader must know of it."""
        self._parts.append(f"<h2>{escape(text)}</h2>")
        if note:
            self._parts.append(f"<p>{escape(note)}</p>")

    def facts(self, facts: Iterable[tuple[str, Any]]) -> None:
        """Named values."""
        rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(str(v))}</dd>" for k, v in facts)
        self._parts.append(f"<dl>{rows}</dl>")

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = ()
    ) -> None:
        """A table. The second line of a cell is set small; ``None`` shows as a dash."""
        kinds = [' class="n"' if each in right else "" for each in columns]
        head = "".join(
            f"<th{kind}>{escape(each)}</th>" for kind, each in zip(kinds, columns, strict=True)
        )
        body = "".join(
            "<tr>"
            + "".join(f"<td{k}>{_cell(c)}</td>" for k, c in zip(kinds, row, strict=True))
            + "</tr>"
            for row in rows
        )
        self._parts.append(
            f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>"
        )

    def plot(self, svg: str, caption: str = "") -> None:
        """A plot of :mod:`vidsearch.evaluation.plots`, which has escaped its texts."""
        below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
        self._parts.append(f"<figure>{svg}{below}</figure>")

    def query(self, text: str, note: str, films: Iterable[tuple[str, str | None, bool]]) -> None:
        """A query with videos: what is said of each, its picture as a data URI, whether it is the
        right one."""
        shown = "".join(
            f"<figure{' class=right' if right else ''}>"
            + (f'<img src="{escape(picture)}" alt="">' if picture else "")
            + f"<figcaption>{escape(caption)}</figcaption></figure>"
            for caption, picture, right in films
        )
        self._parts.append(
            f'<div class="query"><b>{escape(text)}</b> <small>{escape(note)}</small>'
            f'<div class="films">{shown}</div></div>'
        )

    def html(self) -> str:
        """The page."""
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(self.title)}</title><style>{_STYLE}</style></head><body>"
            f"<h1>{escape(self.title)}</h1><p>{escape(self.lead)}</p>{''.join(self._parts)}"
            f"<p>vidsearch {escape(__version__)}</p></body></html>\n"
        )

    def write(self, path: Path) -> None:
        """Write the page.

        Raises:
            EvaluationError: the file cannot be written.
        """
        try:
            path.write_text(self.html(), encoding="utf-8")
        except OSError as error:
            raise EvaluationError(f"{path} cannot be written: {error.strerror}") from error


def _cell(value: Any) -> str:
    first, _, second = ("-" if value is None else str(value)).partition("\n")
    return escape(first) + (f"<small>{escape(second)}</small>" if second else "")
