"""Spans of OpenTelemetry. Where they go is the application's to set up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace

from vidsearch.metrics.measurement import Measurement

__all__ = ["span"]


@contextmanager
def span(measurement: Measurement) -> Iterator[None]:
    """A span around an attempt, and at its end one in it for each stage.

    A stage is entered many times: its span reaches from the first time to the last, and the
    attribute ``vidsearch.seconds`` says how much of that it took. No traceback is recorded, as the
    causes in it may hold secrets.
    """
    tracer = trace.get_tracer("vidsearch")
    with tracer.start_as_current_span(
        f"vidsearch.{measurement.kind}",
        attributes={f"vidsearch.{measurement.kind}": measurement.id},
        record_exception=False,
        set_status_on_exception=False,
    ) as attempt:
        try:
            yield
        finally:
            for stage, (begin, end) in measurement.spans.items():
                part = tracer.start_span(f"vidsearch.{stage}", start_time=begin)
                part.set_attribute("vidsearch.seconds", measurement.seconds[stage])
                part.end(end)
            attempt.set_attribute("vidsearch.outcome", measurement.outcome)
            if measurement.cause:
                attempt.set_status(trace.Status(trace.StatusCode.ERROR, measurement.cause))
