"""What stands before every request: host, origin and token, a limit of bytes, and headers.

A pure ASGI middleware, so that it also holds for apps that are mounted.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from collections.abc import Callable, Iterable
from urllib.parse import quote, unquote, urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from vidsearch.config import WebSettings
from vidsearch.web.problems import RETRY_SECONDS, Problem, problem_of
from vidsearch.web.watched import Bodies, Limit, Watched

__all__ = [
    "CROWDED",
    "FOR_PROGRAMS",
    "Guard",
    "is_allowed_host",
    "is_token",
    "local_target",
    "root_url",
    "route_path",
    "sign_in",
    "sign_out",
]

CROWDED = "vidsearch.crowded"
"""In the scope of a request: whether it came on a connection beyond those allowed."""
LOGIN = "/login"
_ALIVE = "/healthz"
_COOKIE = "vidsearch_session"
_IN_PATHS = "/!$&'()*+,:=@"
"""What browsers send in a path as it is, but for the semicolon, which ends the path of a cookie."""
_ALWAYS_OPEN = (_ALIVE, "/readyz")
"""Probes of a cluster call them by an address, and bring no token."""
_log = logging.getLogger(__name__)
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
FOR_PROGRAMS = ("/api", "/mcp", "/metrics")
"""Paths that answer no person: neither with a page nor by sending them to sign in."""
_USUAL_PORTS = {"http": 80, "https": 443}
_LOCAL = re.compile(r"/(?![/\\])[^\\\x00-\x20]*")
_WEEK = 7 * 86_400
_LOGIN_BYTES = 32 * 1024
"""Of a body that signs in, for which there is no token yet: it holds one, and the address of a
search."""


class Guard:
    """Refuses what the section ``web`` of the settings does not let in.

    Args:
        app: is called with what is let in.
        settings: hosts, token and limits.
        failed: makes the answer where a request is refused, or an exception comes out of the app.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: WebSettings,
        *,
        failed: Callable[[Request, Problem], Response] = lambda request, problem: (
            problem.response()
        ),
    ) -> None:
        self._app = app
        self._settings = settings
        self._failed = failed
        self._headers = _response_headers(settings.media_origins)
        self._bodies = Bodies(
            settings.max_upload_bytes * settings.max_searches, seconds=settings.timeout
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        limit = _limit_of_body(scope, self._settings)
        watched = Watched(receive, send, self._bodies, self._headers, limit=limit)
        try:
            if (to_login := self._checked(scope)) is not None:
                await to_login(scope, receive, watched.send)
            else:
                await self._app(scope, watched.receive, watched.send)
        except ClientDisconnect:
            return
        except Exception as error:
            if watched.answered:
                raise
            answer = self._failed(Request(scope), problem_of(error))
            await answer(scope, receive, watched.send)
        finally:
            self._bodies.held -= watched.received

    def _checked(self, scope: Scope) -> Response | None:
        """What sends a person to the page for signing in, if that is needed.

        Raises:
            Problem: the request is not let in.
        """
        root, path, headers = root_url(scope), route_path(scope), Headers(scope=scope)
        # Whether it is alive is told all the same: who starts servers again that are not would end
        # one that is only busy.
        if scope.get(CROWDED) and path != _ALIVE:
            _log.warning("a request was refused: more connections than web.max_connections")
            raise Problem.of_status(
                503,
                "the server has too many connections",
                retry_after=RETRY_SECONDS,
                headers={"connection": "close"},
            )
        if path in _ALWAYS_OPEN:
            return None
        if not is_allowed_host(headers.get("host", ""), self._settings.allowed_hosts):
            raise Problem.of_status(
                421, "this server is not called by that name (Host); see web.allowed_hosts"
            )
        if scope["method"] not in _SAFE_METHODS and _comes_from_elsewhere(headers):
            raise Problem.of_status(403, "a page of another site sent this request")
        if scope["method"] not in _SAFE_METHODS and _is_compressed(headers):
            raise Problem.of_status(
                415, "the body must not be compressed", headers={"accept-encoding": "identity"}
            )
        length = headers.get("content-length", "")
        limit = _limit_of_body(scope, self._settings)
        if length.isdecimal() and int(length) > limit.most:
            raise limit.exceeded()
        if path == LOGIN or path.startswith("/static/") or _is_signed_in(scope, self._settings):
            return None
        is_for_people = "text/html" in headers.get("accept", "")
        if is_for_people and scope["method"] == "GET" and not path.startswith(FOR_PROGRAMS):
            query = scope["query_string"].decode("latin-1")
            there = root + quote(path, safe=_IN_PATHS) + (f"?{query}" if query else "")
            return RedirectResponse(f"{root}{LOGIN}?next={quote(there, safe='')}", 303)
        raise Problem.of_status(
            401,
            "a token is needed: send it as `Authorization: Bearer …`",
            headers={"www-authenticate": 'Bearer realm="vidsearch"'},
        )


def is_token(given: str, settings: WebSettings) -> bool:
    """Whether that is the token of the settings, in a time that does not depend on how wrong it is.

    ``False`` where the settings have none.
    """
    if settings.token is None:
        return False
    return _are_equal(given, settings.token.get_secret_value())


def sign_in(response: Response, settings: WebSettings, *, root: str, secure: bool) -> None:
    """Let the browser that gets this response in for a week, by a cookie.

    Args:
        response: is given the cookie.
        settings: have a token.
        root: where the app is mounted, as in URLs; the browser tells nobody else of the host.
        secure: whether the request came over https.
    """
    response.set_cookie(
        _cookie_name(root),
        _session(settings),
        max_age=_WEEK,
        path=root or "/",
        httponly=True,
        samesite="lax",
        secure=secure,
    )


def sign_out(response: Response, *, root: str) -> None:
    """Take the cookie back."""
    response.delete_cookie(_cookie_name(root), path=root or "/", httponly=True, samesite="lax")


def local_target(next: str | None, *, root: str) -> str:
    """Where to go after signing in: a path of this app, whatever a link says.

    Args:
        next: what the link says.
        root: where the app is mounted, as in URLs.
    """
    first_page = f"{root}/"
    if not next or not next.startswith(first_page) or not _LOCAL.fullmatch(next):
        return first_page
    parts = unquote(re.split("[?#]", next, maxsplit=1)[0]).split("/")
    return first_page if ".." in parts else next


def root_url(scope: Scope) -> str:
    """The path that the app is mounted at, as in URLs, without a slash at its end."""
    return quote(scope.get("root_path", "").rstrip("/"), safe=_IN_PATHS)


def route_path(scope: Scope) -> str:
    """The path of a request, without that of the app where it is served below one."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def is_allowed_host(host: str, allowed: Iterable[str]) -> bool:
    """Whether a ``Host`` header is one of the names; its port does not matter."""
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    if not name or "@" in host or "/" in host:
        return False
    for entry in allowed:
        wanted = entry.strip("[]").lower()
        if wanted in {"*", name} or (wanted.startswith("*.") and name.endswith(wanted[1:])):
            return True
    return False


def _comes_from_elsewhere(headers: Headers) -> bool:
    """Whether a browser says that a page of another origin made it send the request (CSRF)."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is not None and not _is_same_host(origin, headers.get("host", ""))


def _is_same_host(origin: str, host: str) -> bool:
    """Whether an ``Origin`` is of the server that ``Host`` names.

    A proxy may pass on the name without the port that people use, or with a usual one of its own:
    then the names alone are compared. Cookies are not told apart by ports either.
    """
    try:
        page, server = urlsplit(origin), urlsplit(f"//{host}")
        ports = page.port or _USUAL_PORTS.get(page.scheme), server.port
    except ValueError:
        return False
    is_same_name = page.hostname is not None and page.hostname == server.hostname
    return is_same_name and (ports[1] in {None, *_USUAL_PORTS.values()} or ports[0] == ports[1])


def _limit_of_body(scope: Scope, settings: WebSettings) -> Limit:
    if route_path(scope) == LOGIN and settings.max_upload_bytes > _LOGIN_BYTES:
        return Limit(_LOGIN_BYTES, "signing in takes no more")
    return Limit(settings.max_upload_bytes, "web.max_upload_bytes")


def _is_compressed(headers: Headers) -> bool:
    codings = ",".join(headers.getlist("content-encoding")).split(",")
    return any(coding.strip().lower() not in {"", "identity"} for coding in codings)


def _is_signed_in(scope: Scope, settings: WebSettings) -> bool:
    if settings.token is None:
        return True
    connection = HTTPConnection(scope)
    kind, _, given = connection.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and is_token(given.strip(), settings):
        return True
    # Not by http.cookies, which drops all where one, perhaps of another server of the host, is odd.
    cookie = connection.cookies.get(_cookie_name(root_url(scope)))
    return cookie is not None and _are_equal(cookie, _session(settings))


def _cookie_name(root: str) -> str:
    """One for each path of a host.

    Browsers send cookies of the paths above along, and of two with one name the last one counts:
    that of another server at ``/`` would hide the app's own.
    """
    return f"{_COOKIE}_{hashlib.sha256(root.encode()).hexdigest()[:8]}" if root else _COOKIE


def _session(settings: WebSettings) -> str:
    """What the cookie holds: follows from the token, which cannot be had from it."""
    assert settings.token is not None
    key = settings.token.get_secret_value().encode()
    return hmac.new(key, b"vidsearch web session", hashlib.sha256).hexdigest()


def _are_equal(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(errors="backslashreplace"), wanted.encode())


def _response_headers(media_origins: Iterable[str]) -> dict[str, str]:
    media = " ".join(["'self'", "blob:", *media_origins])
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": f"{media} data:",
        "media-src": media,
        "connect-src": "'self'",
        "manifest-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        # Not no-referrer, with which browsers hide the origin of forms.
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=()",
        "cache-control": "no-store",
    }
