"""What the server counts of its requests, for Prometheus (extra ``metrics``)."""

from __future__ import annotations

import importlib.util
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from prometheus_client import Metric

    from vidsearch.web.context import WebContext

__all__ = ["Measured", "RequestMetrics", "has_metrics"]

_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, float("inf"))


def has_metrics() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("prometheus_client") is not None


class RequestMetrics:
    """The metrics of one app, in a registry of their own.

    They are counted here and not by ``prometheus_client``, which would write them into the folder
    that ``PROMETHEUS_MULTIPROC_DIR`` names for the workers, and needs one that is there.

    Args:
        context: tells whether the model is loaded.
    """

    def __init__(self, context: WebContext) -> None:
        from prometheus_client import CollectorRegistry

        self._context = context
        self._answered: Counter[tuple[str, str]] = Counter()
        """By endpoint and status."""
        self._within: defaultdict[str, list[int]] = defaultdict(lambda: [0] * len(_BUCKETS))
        """Requests by endpoint that took at most so many seconds."""
        self._seconds: defaultdict[str, float] = defaultdict(float)
        """The sum by endpoint."""
        self.registry = CollectorRegistry()
        self.registry.register(cast("Any", self))

    @classmethod
    def of(cls, context: WebContext) -> RequestMetrics | None:
        """``None`` where the extra is not installed."""
        return cls(context) if has_metrics() else None

    def answered(self, endpoint: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._answered[endpoint, str(status)] += 1
        self._seconds[endpoint] += seconds
        within = self._within[endpoint]
        for at, bucket in enumerate(_BUCKETS):
            within[at] += seconds <= bucket

    def collect(self) -> Iterator[Metric]:
        """What ``prometheus_client`` asks for at every scrape."""
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        requests = CounterMetricFamily(
            "vidsearch_web_requests", "Requests that were answered.", labels=["endpoint", "status"]
        )
        for labels, number in self._answered.items():
            requests.add_metric(labels, number)
        yield requests
        took = HistogramMetricFamily(
            "vidsearch_web_request_seconds",
            "Seconds until a request was answered.",
            labels=["endpoint"],
        )
        names = [*map(str, _BUCKETS[:-1]), "+Inf"]
        for endpoint, within in self._within.items():
            buckets = [*zip(names, within, strict=True)]
            took.add_metric([endpoint], buckets, self._seconds[endpoint])
        yield took
        is_ready = float(self._context.readiness.state == "ready")
        yield GaugeMetricFamily(
            "vidsearch_web_ready", "Whether the model is loaded.", value=is_ready
        )

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
