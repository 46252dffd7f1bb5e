"""Metrics for Prometheus: what the registry, the queue and the workers say when they are asked.

Whatever workers count themselves comes along where ``PROMETHEUS_MULTIPROC_DIR`` is set.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidsearch.errors import ConfigError, MissingExtraError, VidsearchError
from vidsearch_tasks.overview import IngestionStatus, ingestion_status
from vidsearch_tasks.services import Services

try:
    from prometheus_client import CollectorRegistry, start_http_server
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.multiprocess import MultiProcessCollector
    from prometheus_client.registry import Collector
except ImportError as _error:
    raise MissingExtraError.of("metrics", needed_for="`vidsearch metrics`") from _error

if TYPE_CHECKING:
    from threading import Thread
    from wsgiref.simple_server import WSGIServer

__all__ = ["StatusCollector", "metrics_registry", "serve"]

_log = logging.getLogger(__name__)


class StatusCollector(Collector):
    """The numbers of :func:`vidsearch_tasks.ingestion_status`, read anew for every scrape.

    An application can register it with a ``CollectorRegistry`` of its own.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing: Prometheus's client would read the registry for it."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges. Where the engine does not answer, only that it does not."""
        try:
            status = ingestion_status(services=self._services)
        except VidsearchError as error:
            _log.warning("no numbers of the registry: %s", error)
            yield _gauge("up", "Whether the engine answers.", 0)
            return
        yield _gauge("up", "Whether the engine answers.", 1)
        yield from _of_registry(status)
        yield from _of_workers(status)


def _of_registry(status: IngestionStatus) -> Iterator[GaugeMetricFamily]:
    videos = status.videos
    yield _gauge("videos", "Registered videos.", videos.states, "state")
    told = "Due videos, videos in work, slices and documents of a reindex: what workers are for."
    # A video whose next try is later needs no worker until then.
    unfinished = videos.unfinished - videos.later
    unfinished += sum(status.slices.values()) + sum(status.fills.values())
    run = status.reindex
    if run is not None and run.background and not run.is_at_rest:
        unfinished += 1  # a worker drives it
    yield _gauge("unfinished", told, unfinished)
    yield _gauge("searchable", "Documents in the videos index.", status.searchable)
    yield _gauge("slices", "Slices of long videos that are not done.", status.slices, "state")
    oldest = videos.oldest.seconds if videos.oldest else 0
    yield _gauge(
        "oldest_waiting_seconds", "Since the video that waits longest was asked for.", oldest
    )
    yield _gauge("waiting_for_retry", "Waiting videos whose next try is not due yet.", videos.later)
    finished = {str(seconds): number for seconds, number in videos.finished.items()}
    told = "Videos that became indexed, failed or dead in the last so many seconds."
    yield _gauge("finished", told, finished, "seconds")
    eta = float("nan") if videos.eta_seconds is None else videos.eta_seconds
    yield _gauge("eta_seconds", "Until all videos are finished, at the present rate.", eta)
    leases = videos.leases
    yield _gauge("leases_expired", "Videos whose worker fell silent.", leases.expired)
    yield _gauge("leases_overdue", "Of those, the ones no sweep has taken up.", leases.overdue)
    errors = {group.type: group.videos for group in videos.errors}
    yield _gauge("errors", "Videos by the error of their last attempt.", errors, "type")
    at = status.last_sweep.at if status.last_sweep else 0
    yield _gauge("last_sweep_timestamp_seconds", "When the last sweep ended; 0 if none did.", at)
    pauses = {pause.key: 1 for pause in status.pauses}
    yield _gauge("paused", "What is not tried for a while, as it did not work.", pauses, "key")
    problems = len(status.problems) + (status.error is not None)
    yield _gauge("problems", "What needs a person: see `vidsearch status`.", problems)


def _of_workers(status: IngestionStatus) -> Iterator[GaugeMetricFamily]:
    broker = status.broker
    yield _gauge("broker_up", "Whether the broker answers.", int(broker is not None))
    if broker:
        yield _gauge("queue_messages", "Messages that wait in the queue.", broker.queued)
        yield _gauge("workers", "Workers that serve this index.", len(status.serving))


def _gauge(
    name: str, told: str, values: float | Mapping[str, float], label: str | None = None
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"vidsearch_{name}", told, labels=[label] if label else None)
    for key, value in values.items() if isinstance(values, Mapping) else [("", values)]:
        family.add_metric([key] if label else [], value)
    return family


def metrics_registry(services: Services | None) -> CollectorRegistry:
    """What is served: the numbers of the registry unless ``services`` is ``None``, and what the
    workers of this machine count.

    Raises:
        ConfigError: ``PROMETHEUS_MULTIPROC_DIR`` names no folder, and none can be made there.
    """
    registry = CollectorRegistry()
    if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"PROMETHEUS_MULTIPROC_DIR={folder} is no folder, and none can be made there: "
                f"{error.strerror or error}. Name the folder of the workers"
            ) from error
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    if services is not None:
        registry.register(StatusCollector(services))
    return registry


def serve(registry: CollectorRegistry, *, host: str, port: int) -> tuple[WSGIServer, Thread]:
    """Serve the metrics from a thread."""
    served: Any = start_http_server(port, addr=host, registry=registry)
    server, thread = served
    return server, thread
