"""Templates to pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from vidsearch import __version__
from vidsearch.web.problems import SEE_LOG, Problem
from vidsearch.web.security import root_url

__all__ = ["FOLDER", "Failure", "failure_of", "render", "root_of"]

FOLDER = Path(__file__).resolve().parents[1]
"""Holds ``templates`` and ``static``."""

_TITLES = {
    401: "Please sign in",
    403: "That is not allowed here",
    404: "There is no such page",
    405: "That cannot be done with this page",
    408: "That came too slowly",
    413: "That is too large",
    421: "This is not a name of this server",
}
"""By the status of the answer."""
_TEXTS = {401: "You are not signed in, or not any more. Nothing was done."}
"""In place of what is told to programs."""
_OWN_TITLES: tuple[tuple[str, frozenset[int], str], ...] = (
    ("/video/", frozenset(), "This video cannot be shown"),
    ("/admin/retry", frozenset({400, 422, 503}), "The videos cannot be queued again"),
    ("/admin", frozenset({503}), "The state of ingestion cannot be read"),
    ("/login", frozenset({400, 408, 413}), "Signing in did not work"),
    ("/picture", frozenset({413}), "The picture is too large"),
    ("/", frozenset({400, 422}), "That cannot be searched for"),
    ("/", frozenset({503}), "The search is away"),
)
"""By the beginning of the path, and by status where any is named; the first one that fits."""
_TRY_AGAIN = "Try again in a moment. If it lasts, the log of the server says why."
_SEE_LOG = "The log of the server says more."


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, for the templates."""

    title: str
    text: str
    advice: str
    argument: str | None
    """Name of the argument at fault."""
    reference: str | None
    """By which the log has it; ``None`` where it has no error."""


def failure_of(problem: Problem, *, path: str) -> Failure:
    """A problem in words for people.

    Args:
        problem: of a request.
        path: that was asked for, below the one that the app is mounted at.
    """
    detail = _TEXTS.get(problem.status, problem.detail)
    detail = detail.replace("``", "").removesuffix(SEE_LOG)  # which the advice says
    text = detail[:1].upper() + detail[1:]
    return Failure(
        title=_title(problem.status, path),
        text=text if text.endswith((".", "!", "?")) else f"{text}.",
        advice=_advice(problem),
        argument=problem.argument,
        reference=problem.instance,
    )


def _advice(problem: Problem) -> str:
    if problem.retry_after is not None:
        return _TRY_AGAIN
    return _SEE_LOG if problem.status >= 500 else ""


def _title(status: int, path: str) -> str:
    for beginning, statuses, title in _OWN_TITLES:
        if path.startswith(beginning) and (not statuses or status in statuses):
            return title
    return _TITLES.get(status, HTTPStatus(status).phrase)


def root_of(request: Request) -> str:
    """The path that the app is mounted at, as in URLs, without a slash at its end."""
    return root_url(request.scope)


def render(
    request: Request,
    name: str,
    values: Mapping[str, Any],
    *,
    tab: str = "search",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """The page that a template makes.

    Args:
        request: that is answered.
        name: of the template.
        values: for it.
        tab: which part of the site it belongs to.
        status: of the answer.
        headers: of the answer.
    """
    text = _environment().get_template(name).render(root=root_of(request), tab=tab, **values)
    return HTMLResponse(text, status, headers=headers)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals |= {
        "version": __version__,
        "icons": environment.get_template("icons.html").module,
    }
    return environment
