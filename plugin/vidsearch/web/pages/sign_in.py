"""Signing in with the token of the settings, and out again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from vidsearch.web.forms import opened_form
from vidsearch.web.pages.rendering import render, root_of
from vidsearch.web.security import is_token, local_target, sign_in, sign_out

if TYPE_CHECKING:
    from vidsearch.web.context import WebContext

__all__ = ["sign_in_routes"]


def sign_in_routes(context: WebContext) -> list[BaseRoute]:
    """``/login`` and ``/logout``."""
    settings = context.settings.web

    async def login(request: Request) -> Response:
        if request.method == "POST":
            return await enter(request)
        return _form(request, _target(request, request.query_params.get("next")))

    async def enter(request: Request) -> Response:
        async with opened_form(request, max_files=0, max_fields=2) as given:
            token, target = given.get("token"), given.get("next")
        there = _target(request, target)
        if not isinstance(token, str) or not is_token(token.strip(), settings):
            return _form(request, there, wrong=True)
        answer = RedirectResponse(there, 303)
        sign_in(answer, settings, root=root_of(request), secure=request.url.scheme == "https")
        return answer

    async def leave(request: Request) -> Response:
        answer = RedirectResponse(f"{root_of(request)}/login", 303)
        sign_out(answer, root=root_of(request))
        return answer

    return [
        Route("/login", login, methods=["GET", "POST"]),
        Route("/logout", leave, methods=["POST"]),
    ]


def _target(request: Request, next: object) -> str:
    """Where to go afterwards; the first page where nothing else was asked for."""
    return local_target(next if isinstance(next, str) else None, root=root_of(request))


def _form(request: Request, there: str, *, wrong: bool = False) -> Response:
    values = {"next": there, "wrong": wrong}
    return render(request, "login.html", values, tab="", status=401 if wrong else 200)
