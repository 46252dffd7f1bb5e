"""Texts of errors of other libraries, for messages and logs: without the secrets in them."""

from __future__ import annotations

import contextlib
import logging
import traceback

from vidsearch_mappings.masking import masked

__all__ = ["first_line", "logged_error", "logger", "mask_record", "traceback_of"]


def first_line(error: BaseException) -> str:
    """The first line of the message of an error, or its class where it has none."""
    return masked((str(error).strip() or type(error).__name__).splitlines()[0])


def traceback_of(error: BaseException) -> str:
    """The traceback of an error, with those of its causes."""
    return masked("".join(traceback.format_exception(error)).rstrip("\n"))


def logger(name: str) -> logging.Logger:
    """The logger of a module that logs tracebacks."""
    found = logging.getLogger(name)
    found.addFilter(mask_record)
    return found


def mask_record(record: logging.LogRecord) -> bool:
    """Filter of a logger or a handler: masks secrets in the message, and in the traceback as
    formatters show it. The exception itself stays, for what reports errors by it.

    Never raises, as what is logged would end with it.
    """
    with contextlib.suppress(Exception):  # arguments that do not fit; the handler reports that
        # Other messages, such as the dicts of structlog, are for formatters that know them.
        if isinstance(record.msg, (str, BaseException)):
            text = record.getMessage()
            if (shown := masked(text)) != text:
                record.msg, record.args = shown, None
    with contextlib.suppress(Exception):
        if (error := logged_error(record)) is not None:
            record.exc_text = traceback_of(error)
    return True


def logged_error(record: logging.LogRecord) -> BaseException | None:
    """The exception of a record. One that was not made by a logger may hold anything there."""
    info = record.exc_info
    error = info[1] if isinstance(info, tuple) and len(info) == 3 else None
    return error if isinstance(error, BaseException) else None
