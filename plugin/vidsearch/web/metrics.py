"""What the server counts of its requests, for Prometheus (extra ``metrics``)."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from vidsearch.web.context import WebContext

__all__ = ["Measured", "RequestMetrics", "has_metrics"]

_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)


def has_metrics() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("prometheus_client") is not None


class RequestMetrics:
    """The metrics of one app, in a registry of their own.

    Args:
        context: tells whether the model is loaded.
    """

    def __init__(self, context: WebContext) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self.registry = CollectorRegistry()
        self._requests = Counter(
            "vidsearch_web_requests",
            "Requests that were answered.",
            ["endpoint", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "vidsearch_web_request_seconds",
            "Seconds until a request was answered.",
            ["endpoint"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        ready = Gauge("vidsearch_web_ready", "Whether the model is loaded.", registry=self.registry)
        ready.set_function(lambda: float(context.readiness.state == "ready"))

    @classmethod
    def of(cls, context: WebContext) -> RequestMetrics | None:
        """``None`` where the extra is not installed."""
        return cls(context) if has_metrics() else None

    def answered(self, endpoint: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(endpoint, str(status)).inc()
        self._seconds.labels(endpoint).observe(seconds)

    def routes(self) -> list[Route]:
        """``/metrics``."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        async def metrics(request: Request) -> Response:
            return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)

        return [Route("/metrics", metrics, methods=["GET"])]


class Measured:
    """Times every request of an app.

    Args:
        app: answers.
        answered: is called with the path of the route that answered, such as ``/api/videos/{id}``,
            or ``none``, the status and seconds.
        routes: of the app.
    """

    def __init__(
        self,
        app: ASGIApp,
        answered: Callable[[str, int, float], None],
        *,
        routes: Iterable[BaseRoute],
    ) -> None:
        self._app = app
        self._answered = answered
        # Older versions of Starlette tell the endpoint of a request, but not its route.
        self._paths: dict[Any, str] = {
            route.app if isinstance(route, Mount) else route.endpoint: route.path_format
            for route in routes
            if isinstance(route, (Mount, Route))
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 499  # as nginx counts a client that went away

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            endpoint = self._paths.get(scope.get("endpoint"), "none")
            self._answered(endpoint, status, time.perf_counter() - started)
