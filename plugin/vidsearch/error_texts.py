"""Texts of errors of other libraries, for messages and logs: without the secrets in them."""

from __future__ import annotations

import logging
import traceback

from vidsearch_mappings.masking import masked

__all__ = ["first_line", "logger", "mask_record", "traceback_of"]


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
    """Filter of a logger or a handler: masks secrets in the message, and leaves of an exception no
    more than its masked traceback, as formatters would show it and its causes as they are."""
    try:
        text = record.getMessage()
    except Exception:  # arguments that do not fit; the handler reports that
        return True
    if (shown := masked(text)) != text:
        record.msg, record.args = shown, None
    if record.exc_info and record.exc_info[1] is not None:
        record.exc_text = traceback_of(record.exc_info[1])
        record.exc_info = None
    return True
