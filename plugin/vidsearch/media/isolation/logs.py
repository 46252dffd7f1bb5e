"""What is logged in the decoding process appears in the worker's log."""

from __future__ import annotations

import logging
from collections.abc import Callable

from vidsearch.media.isolation.protocol import Message, ProtocolError

__all__ = ["LOGGER", "log_again", "send_logs"]

LOGGER = "vidsearch.media"
_MOST_TEXT = 2000


class _Sender(logging.Handler):
    def __init__(self, send: Callable[[Message], None]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)[:_MOST_TEXT]
        self._send({"log": [record.name, record.levelno, text]})


def send_logs(send: Callable[[Message], None]) -> None:
    """In the child: everything that the decoders log is sent rather than printed."""
    logger = logging.getLogger(LOGGER)
    logger.propagate = False
    logger.addHandler(_Sender(send))


def log_again(message: Message) -> None:
    """In the worker: log what was sent, under the same name.

    Raises:
        ProtocolError: it is no such message.
    """
    try:
        name, level, text = message["log"]
    except (TypeError, ValueError) as error:
        raise ProtocolError("a log line of another shape") from error
    if type(level) is not int or not f"{name}.".startswith(f"{LOGGER}."):
        raise ProtocolError("a log line under another name")
    logging.getLogger(name).log(level, "%s", str(text)[:_MOST_TEXT])
