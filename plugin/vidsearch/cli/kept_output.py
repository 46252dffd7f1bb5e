"""What a copy of an index of the user keeps and takes, as the commands show it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vidsearch.cli import output

if TYPE_CHECKING:
    from vidsearch.index import AttachPlan
    from vidsearch.index.kept import Kept
    from vidsearch.reindex import Plan

__all__ = ["attach_plan_json", "blocked", "kept_facts", "show_attach_plan", "size", "until_done"]


def show_attach_plan(plan: AttachPlan, *, as_json: bool) -> None:
    """What ``vidsearch index attach`` would do."""
    if as_json:
        output.print_json(attach_plan_json(plan))
    else:
        output.print_facts(_facts(plan), as_json=False)
    for problem in plan.problems:
        output.talk(f"note: {problem}")
    output.talk("nothing was changed")


def attach_plan_json(plan: AttachPlan) -> dict[str, Any]:
    """As plain values."""
    from dataclasses import asdict

    cost = plan.cost
    return {
        "index": plan.index,
        "way": plan.way,
        "copy": plan.copy,
        "lacking": plan.lacking,
        "kept": plan.kept.to_json(),
        **({} if cost is None else {**asdict(cost), "seconds": cost.seconds}),
        "problems": list(plan.problems),
    }


def _facts(plan: AttachPlan) -> dict[str, Any]:
    if plan.cost is None:
        way = "in place: the object `video` is added to the mapping, and nothing else is changed"
        return {"index": plan.index, "way": way, "writes are blocked": blocked(plan)}
    lacking = ", ".join(f"index.{key}: {str(value).lower()}" for key, value in plan.lacking.items())
    return {
        "index": plan.index,
        "way": f"copy: it was created without {lacking}",
        "copy": plan.copy,
        **kept_facts(plan.kept),
        "documents": plan.cost.documents,
        "size": size(plan.cost.bytes),
        "disk needed": size(plan.cost.needed_bytes),
        "disk free": size(plan.cost.free_bytes),
        "time": until_done(plan.cost.seconds),
        "measured on": plan.cost.measured,
        "writes are blocked": blocked(plan),
    }


def blocked(plan: AttachPlan | Plan) -> str:
    """For how long writes are refused, and why where that is long."""
    following, seconds = plan.following, plan.blocked_seconds
    if not seconds:
        return "not at all"
    waited = f"about {seconds:.1f} s"
    if following is None or following.why is None:
        return waited
    return (
        f"{waited}, in which all ids are compared, as the writes to it cannot be followed by their "
        f"numbers ({following.why})"
    )


def kept_facts(kept: Kept) -> dict[str, Any]:
    """What a copy keeps, by kind."""
    own = {
        name: value
        for name, value in kept.settings.items()
        if not name.startswith(("analysis.", "lifecycle.")) and name not in kept.pipelines
    }
    facts = {
        "settings": ", ".join(f"{name}: {value}" for name, value in own.items()),
        "mapping": f"{kept.fields} fields, as they are",
        "analysers": ", ".join(kept.analysis) or None,
        "aliases": ", ".join(_alias(*each) for each in kept.aliases.items()) or None,
        "policy": None if kept.policy is None else str(kept.policy),
        "pipelines": ", ".join(f"{n}: {value}" for n, value in kept.pipelines.items()) or None,
    }
    return {
        **{f"kept {name}": value for name, value in facts.items()},
        "not kept": "; ".join(kept.lost) or None,
    }


def size(number: int | None) -> str | None:
    """Bytes, as people say them."""
    if number is None:
        return None
    amount, units = float(number), ["B", "KiB", "MiB", "GiB", "TiB"]
    while amount >= 1024 and len(units) > 1:
        amount /= 1024
        units.pop(0)
    return f"{amount:.1f} {units[0]}" if units[0] != "B" else f"{number} B"


def until_done(seconds: float | None) -> str | None:
    """A time, as people say it."""
    from vidsearch_tasks.overview import duration

    return None if seconds is None else duration(seconds)


def _alias(name: str, options: Mapping[str, Any]) -> str:
    return f"{name} (with {', '.join(options)})" if options else name
