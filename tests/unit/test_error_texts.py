"""What messages and logs tell of errors of other libraries."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import pytest
from celery.signals import after_setup_logger

from vidsearch.error_texts import first_line, logger, traceback_of
from vidsearch.logs import JsonFormatter

URL = "https://me:hunter2@api.example/embed?key=hunter2"
SHOWN = "https://…@api.example/embed?…"


class Lines(logging.Handler):
    """Keeps the lines that a formatter makes."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def error() -> Exception:
    """An error of a library, with a cause that tells a secret as well."""
    try:
        try:
            raise OSError(f"GET {URL} failed")
        except OSError as cause:
            raise RuntimeError(f"401 for url: {URL}") from cause
    except RuntimeError as error:
        return error


@pytest.fixture
def name() -> Iterator[str]:
    """Of a logger of this test."""
    name = "vidsearch.test_error_texts"
    found = logging.getLogger(name)
    yield name
    found.handlers.clear()
    found.filters.clear()


def _info(error: Exception) -> tuple[type[Exception], Exception, TracebackType | None]:
    return type(error), error, error.__traceback__


def test_first_line_has_no_secret(error: Exception) -> None:
    assert first_line(error) == f"401 for url: {SHOWN}"
    assert first_line(KeyError()) == "KeyError"
    assert first_line(ValueError("one\ntwo")) == "one"


def test_traceback_has_places_and_causes_and_no_secret(error: Exception) -> None:
    text = traceback_of(error)
    assert text.startswith("Traceback (most recent call last):\n")
    assert f"OSError: GET {SHOWN} failed" in text
    assert text.endswith(f"RuntimeError: 401 for url: {SHOWN}")
    assert "test_error_texts.py" in text
    assert "hunter2" not in text


def test_exception_of_a_record_stays_for_reports_of_errors(error: Exception, name: str) -> None:
    record = logging.LogRecord(name, logging.ERROR, "", 1, "%s", (error,), _info(error))
    assert logger(name).filter(record)
    assert record.exc_info == _info(error)
    assert record.exc_text == traceback_of(error)


def test_message_that_is_no_text_stays_as_it_is(error: Exception, name: str) -> None:
    event = {"event": "failed", "password": "hunter2"}
    record = logging.LogRecord(name, logging.ERROR, "", 1, event, None, None)
    assert logger(name).filter(record)
    assert record.msg is event
    record = logging.LogRecord(name, logging.ERROR, "", 1, error, None, None)
    assert logger(name).filter(record)
    assert record.msg == f"401 for url: {SHOWN}"


@pytest.mark.parametrize("info", [1, True, "x", (None, None, None), (), (1, 2, 3)])
def test_record_that_no_logger_made_passes(info: Any, name: str) -> None:
    record = logging.LogRecord(name, logging.ERROR, "", 1, "a", None, info)
    assert logger(name).filter(record)
    assert record.exc_info == info
    assert json.loads(JsonFormatter().format(record))["message"] == "a"


def test_error_without_a_text_passes(name: str) -> None:
    class NoTextError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    error = NoTextError()
    record = logging.LogRecord(name, logging.ERROR, "", 1, "%s", (error,), _info(error))
    assert logger(name).filter(record)


@pytest.mark.parametrize("formatter", [logging.Formatter(), JsonFormatter()])
def test_logger_masks_traceback_and_message_for_any_formatter(
    formatter: logging.Formatter, error: Exception, name: str
) -> None:
    kept = Lines(formatter)
    logging.getLogger(name).addHandler(kept)
    logger(name).error("video %r failed: %s", "a", error, exc_info=error)
    (line,) = kept.lines
    assert f"video 'a' failed: 401 for url: {SHOWN}" in line
    assert f"OSError: GET {SHOWN} failed" in line
    assert "hunter2" not in line


def test_json_has_no_secret_of_loggers_of_others(error: Exception, name: str) -> None:
    kept = Lines(JsonFormatter())
    found = logging.getLogger(name)
    found.addHandler(kept)
    found.error("task failed: %r", error, exc_info=error)
    found.error("no error", exc_info=(None, None, None))
    line, other = map(json.loads, kept.lines)
    assert line["error"].endswith(f"RuntimeError: 401 for url: {SHOWN}")
    assert SHOWN in line["message"]
    assert "hunter2" not in kept.lines[0]
    assert other["message"] == "no error"


@pytest.mark.parametrize(
    ("of", "is_own"),
    [
        ("celery.app.trace", True),
        ("kombu.connection", True),
        ("vidsearch.ingest.attempt", True),
        ("vidsearch_tasks.attempts", True),
        ("celery.task", False),
        ("celery.redirected", False),
        ("shop.tasks", False),
        ("vidsearchers", False),
    ],
)
def test_log_of_a_worker_has_no_secret_of_its_own_errors_and_leaves_the_application_s(
    of: str, is_own: bool, error: Exception, name: str
) -> None:
    kept = Lines(logging.Formatter())
    found = logging.getLogger(name)
    found.addHandler(kept)
    after_setup_logger.send("test", logger=found)
    kept.handle(logging.LogRecord(of, logging.ERROR, "", 1, "%r", (error,), _info(error)))
    (line,) = kept.lines
    assert (f"RuntimeError: 401 for url: {SHOWN}" in line) is is_own
    assert ("hunter2" not in line) is is_own


def test_arguments_that_do_not_fit_are_left_to_the_handler(name: str) -> None:
    record = logging.LogRecord(name, logging.ERROR, "", 1, "%s %s", ("a",), None)
    assert logger(name).filter(record)
