"""What the commands of ``vidsearch reindex`` show: runs, plans, and each step as it begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from vidsearch.cli import output
from vidsearch.cli.kept_output import blocked, kept_facts, size, until_done

if TYPE_CHECKING:
    from vidsearch.errors import VidsearchError
    from vidsearch.reindex import Plan, ReindexRun

__all__ = ["Narrator", "show_plan", "show_run", "show_runs"]


class Narrator:
    """Says each step once, and how long the filling still takes."""

    def __init__(self, bar: output.Progress) -> None:
        self.run: ReindexRun | None = None
        self._bar = bar
        self._first: tuple[float, int] | None = None
        self._most = 0

    def step(self, run: ReindexRun) -> None:
        """A step begins, or begins to wait."""
        self.run = run
        if run.waits_for is not None:
            output.talk(f"waiting for {run.waits_for}")
        elif (sentence := _SENTENCES.get(run.step.value)) is not None:
            output.talk(sentence(run))

    def outage(self, error: VidsearchError, seconds: float) -> None:
        """The engine is away or overloaded, and the run is tried again."""
        self._first = None  # the rate from then on
        output.talk_of_outage(error, seconds)

    def progress(self, done: int, total: int) -> None:
        """So many videos are in the target."""
        now = time.monotonic()
        if self._first is None or done < self._most:
            self._first = now, done  # what was there is counted once more, faster than copied
        self._most = max(self._most, done)
        began, before = self._first
        note = ""
        if done > before and now - began >= 1:
            from vidsearch_tasks.overview import duration

            rate = (done - before) / (now - began)
            note = f"({rate:.0f}/s, {duration((total - done) / rate)} left)"
        self._bar(done, total, note=note)


_SENTENCES: dict[str, Callable[[ReindexRun], str]] = {
    "planned": lambda run: (
        f"{run.called}: from {run.source} to {run.target}, with {_told(run.changes)}; "
        f"{_WAYS[run.way]}"
    ),
    "writing_both": lambda run: f"writers write to {run.source} and {run.target}",
    "catching_up": lambda run: f"{run.target} is filled; it is brought up to date and checked",
    "verified": lambda run: (
        f"{run.target} passed its check"
        + ("" if run.swap else "; `vidsearch reindex swap` moves searches to it")
    ),
    "swapped": lambda run: (
        f"searches of {run.alias} go to {run.target}" + (_kept(run) if run.keep_old else "")
    ),
    "done": lambda run: _ended(run, deleted=run.source),
    "rolling_back": lambda run: f"{run.called} is undone",
    "rolled_back": lambda run: (
        f"{run.called} is over: {run.target} could not be made, and nothing was changed"
        if run.error is not None
        else f"searches of {run.alias} go to {run.source}, {run.target} is deleted"
        if not run.left
        else _ended(run, deleted=run.target)
    ),
}
_WAYS: dict[str, str] = {
    "in place": "the index takes it as it is, and is not copied",
    "copy": "documents are copied as they are",
    "assemble": "documents are made anew from kept vectors of frames",
    "embed": "workers embed the videos again",
}


def show_runs(runs: Sequence[ReindexRun], *, as_json: bool) -> None:
    """A line for each run."""
    columns = ("id", "step", "from", "to", "changes", "videos", "started", "error")
    rows = [
        (r.id, r.step, r.source, r.target, _told(r.changes), _count(r), _at(r.started_at), r.error)
        for r in runs
    ]
    output.print_rows(
        [run.to_json() for run in runs], columns, rows, as_json=as_json, whole=columns[:2]
    )


def show_run(run: ReindexRun, *, as_json: bool) -> None:
    """One run."""
    left = run.seconds_left
    if as_json:
        output.print_json({**run.to_json(), **({} if left is None else {"seconds_left": left})})
        return
    facts = {
        **{name: getattr(run, name) for name in ("id", "step", "alias", "source", "target", "way")},
        "changes": _told(run.changes),
        "videos": _count(run),
        **({} if left is None else {"time left": until_done(left)}),
        "started": _at(run.started_at),
        "by": run.by,
        "driven by": run.owner,
        "error": run.error,
        **({} if run.waits_for is None else {"waits for": run.waits_for}),
        **({} if (again := run.tries_again_at) is None else {"tries again": _at(again)}),
        **({"left": ", ".join(run.left)} if run.left else {}),
    }
    if run.report is not None:
        facts["check"] = "passed" if run.report["passed"] else "; ".join(run.report["problems"])
        facts["recall@10"] = ", ".join(f"{k} {v:.3f}" for k, v in run.report["recall"].items())
    output.print_facts(facts, as_json=False)
    if run.report is not None:
        _show_comparisons(run.report["comparisons"])


def _show_comparisons(comparisons: Sequence[Mapping[str, Any]]) -> None:
    """What the user's queries find, in the old index and in the new one."""
    from vidsearch.reindex.side_by_side import SideBySide

    rows = [
        (each.query if rank == 1 else "", rank, old, new)
        for each in map(SideBySide.from_json, comparisons)
        for rank, old, new in each.rows()
    ]
    if rows:
        output.print_table(("query", "rank", "old index", "new index"), rows, right=("rank",))


def show_plan(plan: Plan, *, as_json: bool) -> None:
    """What a run would do."""
    kept = {} if plan.kept is None else {"kept": plan.kept.to_json()}
    data = {**asdict(replace(plan, kept=None)), "seconds": plan.seconds, **kept}
    if as_json:
        output.print_json(data)
    else:
        output.print_facts(_plan_facts(plan), as_json=False)
    for problem in plan.problems:
        output.talk(f"note: {problem}")
    output.talk("nothing was changed")


def _kept(run: ReindexRun) -> str:
    ends = "`vidsearch reindex rollback` goes back to it, `vidsearch reindex clean` deletes it"
    if not run.attached:
        return f"; {run.source} is kept up to date: {ends}"
    blocked = run.blocked_seconds
    waited = "" if blocked is None else f"writes were refused for {blocked:.1f} s, and "
    return f"; {waited}{run.source}, which is kept, takes none any more: {ends}"


def _ended(run: ReindexRun, *, deleted: str) -> str:
    """What became of the indices of a run."""
    left = (f"{name} is left, and not behind the alias {run.alias}" for name in run.left)
    return ", ".join([*([] if deleted in run.left else [f"{deleted} is deleted"]), *left])


def _plan_facts(plan: Plan) -> dict[str, Any]:
    facts = {
        "source": plan.source,
        "target": plan.target,
        "changes": _told(plan.changes),
        "way": _WAYS[plan.way],
        "videos" if plan.kept is None else "documents": plan.videos,
        "not indexed yet": plan.waiting,
        "size": size(plan.bytes),
        "disk needed": size(plan.needed_bytes),
        "disk free": size(plan.free_bytes),
        "time": until_done(plan.seconds),
        "measured on": plan.measured,
    }
    if plan.kept is None:
        return facts
    kept = {} if plan.way == "in place" else kept_facts(plan.kept)
    return {**facts, **kept, "writes are blocked": blocked(plan)}


def _told(changes: Mapping[str, Any]) -> str:
    return ", ".join(
        name if value is True else f"{name} {value}" for name, value in changes.items()
    )


def _count(run: ReindexRun) -> str:
    return f"{run.done}/{run.total}" if run.is_open and run.done < run.total else str(run.total)


def _at(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, tz=timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
