"""From an engine's answer, or the lack of one, to the error tree of :mod:`vidsearch.errors`.

The two client libraries differ in which exceptions are HTTP answers, whether a timeout is a
connection error, and what their base class is. The dialects reduce an HTTP answer to its status and
body, and everything else to a timeout, a failed connection or unreadable JSON. The rest is decided
here.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterator
from http.client import HTTPException
from typing import Any

from vidsearch.errors import (
    BackendAccessDeniedError,
    BackendError,
    BackendUnavailableError,
    DocumentNotFoundError,
    IndexNotFoundError,
    MappingConflictError,
    RequestTooLargeError,
    TooManyBucketsError,
    VersionConflictError,
)

__all__ = [
    "ContextLostError",
    "RequestRejectedError",
    "TextTooLongError",
    "WindowTooLargeError",
    "busy",
    "error_of",
    "no_json",
    "reason_of",
    "sizes",
    "timed_out",
    "unavailable",
    "unreachable",
    "unreadable",
]

_UNLICENSED = re.compile(r"license is non-compliant for \[([^]]*)\]")
_TOO_MANY_BUCKETS = "too_many_buckets_exception"
_CONTEXT_LOST = "search_context_missing_exception"
_TOO_LONG = re.compile(r"(?:has exceeded|max_analyzed_offset\] limit) \[(\d+)\]")
"""What both engines say of a text that they do not analyze for highlights, with the limit."""
_TOO_LARGE = re.compile(r"(?:Result window|Batch size) is too large.*? equal to: \[(\d+)\]")
"""What both engines say of more hits than an index gives at once, with the limit; the second of a
scroll."""
_NO_PRIMARY = "no Preference for [_primary]"
"""What Elasticsearch says of a preference that OpenSearch alone has."""
_DISK_IS_FULL = "read-only-allow-delete block"
_NO_SCRIPTS = re.compile(r"cannot execute (\[inline\] scripts|scripts using)")

_SET_CA = "Set engine.ca_certs to the CA bundle that signed it"
_WRONG_HOST = "Set engine.url to a name that the certificate is for"
_CERTIFICATE_ADVICE = {
    9: "Check the clock of this machine",
    10: "It must be renewed at the cluster",
    62: _WRONG_HOST,
    64: _WRONG_HOST,
}
"""By OpenSSL's verify code: not yet valid, expired, host or IP address differs."""

_NO_TLS = {
    "WRONG_VERSION_NUMBER",
    "RECORD_LAYER_FAILURE",
    "UNKNOWN_PROTOCOL",
    "PACKET_LENGTH_TOO_LONG",
}

_LONGEST = 600
"""Characters of a reason; engines like to echo a whole vector."""


class ContextLostError(BackendError):
    """The cluster no longer has what it kept for a scan or a point in time."""


class RequestRejectedError(MappingConflictError):
    """The engine refuses a query, a value or a mapping of the request (400).

    Other errors of its base class are vidsearch's own findings about the index.
    """


class TextTooLongError(RequestRejectedError):
    """A text has more characters than the index lets be analyzed for highlights."""

    def __init__(self, message: str, *, most: int = 0) -> None:
        super().__init__(message)
        self.most = most
        """``index.highlight.max_analyzed_offset`` of the index."""


class WindowTooLargeError(MappingConflictError):
    """A request asks for more hits than the index gives at once."""

    def __init__(self, message: str, *, most: int = 0) -> None:
        super().__init__(message)
        self.most = most
        """``index.max_result_window`` of the index."""


def error_of(
    status: int, body: Any, *, url: str, index: str | None, id: str | None = None
) -> BackendError:
    """The error for an HTTP status that is not a success.

    Args:
        status: HTTP status, of the response or of one item in it.
        body: the engine's JSON, or text where a proxy answered.
        url: of the cluster, without credentials.
        index: name of the index or alias that was asked for.
        id: of the document, where it is one of several in the request.
    """
    kind, reason = _type_of(body), reason_of(body)
    said = f"({status}): {reason}"
    where = f"index {index!r} at {url}" if index else url
    request = "the request" if id is None else f"the request for document {id!r}"
    if status == 401:
        return BackendAccessDeniedError(
            f"{url} refused the credentials {said}. "
            "Check engine.api_key, or engine.username and engine.password"
        )
    if status == 403 and (feature := _UNLICENSED.search(reason)):
        return BackendAccessDeniedError(
            f"the licence of {url} does not cover {feature[1]} {said}. "
            "Leave it out, or install a licence that covers it"
        )
    if status == 403:
        return BackendAccessDeniedError(f"{where} refused {request} {said}")
    if kind in {"index_not_found_exception", "aliases_not_found_exception"}:
        return IndexNotFoundError(f"there is no index or alias {_named(body) or index!r} at {url}")
    if kind == "index_closed_exception":  # as for a change of its analyzers: it is opened again
        return BackendUnavailableError(f"{where} is closed {said}: open it")
    if kind == "resource_already_exists_exception":
        return MappingConflictError(f"{where} exists already")
    if _CONTEXT_LOST in _types_of(body):
        return ContextLostError(
            f"{url} no longer has what it kept for the next page of a search {said}: a node was "
            "restarted, or nothing was asked of it for minutes"
        )
    if status == 409:
        return VersionConflictError(
            f"{where} rejected {request}, as the document has changed {said}"
        )
    if kind == "document_missing_exception":
        return DocumentNotFoundError(f"{where} rejected {request}, as there is none {said}")
    if status == 400 and _NO_SCRIPTS.search(reason):
        return BackendAccessDeniedError(
            f"{url} does not run scripts {said}. OpenSearch needs a script to rescore quantized "
            "vectors, and to score segments that a filter picks: allow inline scripts in the "
            "context `score`, or set search.rescore to false and filter videos only"
        )
    if _TOO_MANY_BUCKETS in _types_of(body):
        # OpenSearch answers with 503, though the same request never succeeds.
        return TooManyBucketsError(
            f"{where} does not count so many different values {said}. Count fewer at once"
        )
    if status == 400 and _NO_PRIMARY in reason:
        return BackendError(
            f"{url} is not OpenSearch {said}; set engine.kind to what it is, or to auto"
        )
    if status == 400 and (limit := _TOO_LONG.search(reason)) and "max_analyzed_offset" in reason:
        return TextTooLongError(f"{where} rejected {request} {said}", most=int(limit[1]))
    if status == 400 and (limit := _TOO_LARGE.search(reason)):
        return WindowTooLargeError(f"{where} rejected {request} {said}", most=int(limit[1]))
    if status == 400:
        return RequestRejectedError(f"{where} rejected {request} {said}")
    if status == 413:
        return RequestTooLargeError(
            f"{where} does not take a request of that size {said}. Raise http.max_content_length "
            "of the cluster, or the limit of the proxy in front of it, or store shorter fields, or "
            "fewer segments (index.segment_seconds, index.max_segments)"
        )
    if unavailable(status):
        if _DISK_IS_FULL in reason:
            return BackendUnavailableError(f"{where} takes no writes: {busy(status, body)}")
        return BackendUnavailableError(f"{where} is overloaded or failing {said}")
    return BackendError(f"{where} answered {request} with {status}: {reason}")


def sizes(size: int, status: int, body: Any) -> str:
    """What is known of a request that was too large, in one sentence.

    Args:
        size: of the request, in bytes.
        status, body: of the answer to ``GET /_nodes/_local/http``.
    """
    nodes = body.get("nodes") if status == 200 and isinstance(body, dict) else None
    limits = [node["http"]["max_content_length_in_bytes"] for node in (nodes or {}).values()]
    if not limits:
        return f"The request has {size:,} bytes"
    limit = f"http.max_content_length of the cluster is {min(limits):,} bytes"
    if size <= min(limits):
        return f"The request has {size:,} bytes; {limit}, so a proxy in front of it allows less"
    return f"The request has {size:,} bytes; {limit}"


def busy(status: int, body: Any) -> str:
    """Why a request was turned away that may succeed later, and what to do where it will not by
    waiting alone."""
    why = f"{reason_of(body)} ({status})"
    if _DISK_IS_FULL not in why:
        return why
    return (
        f"{why}. The disk of a data node is full: free some, or add a node. The index then "
        "takes writes again by itself, unless somebody has set "
        "index.blocks.read_only_allow_delete"
    )


def unavailable(status: int) -> bool:
    """Whether the status says that the same request may succeed later."""
    return status in {408, 429} or status >= 500


def unreachable(error: BaseException, *, url: str) -> BackendUnavailableError:
    """No connection: refused, reset, unknown host, TLS that does not fit."""
    cause = _innermost(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return BackendUnavailableError(
            f"the TLS certificate of {url} is not trusted: {cause.verify_message.rstrip('.')}. "
            f"{_CERTIFICATE_ADVICE.get(cause.verify_code, _SET_CA)}"
        )
    if _reason(cause) in _NO_TLS:
        return BackendUnavailableError(
            f"{url} does not speak TLS; does engine.url have to begin with http://?"
        )
    if isinstance(cause, ssl.SSLEOFError) or "ALERT" in _reason(cause):
        # The alert that says why may be lost where the server closes the connection at once.
        return BackendUnavailableError(
            f"{url} closed the TLS connection: {_short(_reason(cause) or 'no reason given')}. "
            "Set engine.client_cert and engine.client_key if it wants a client certificate; "
            "check who signed it if they are set"
        )
    if type(cause).__name__ == "CertificateError":  # urllib3's, where the URL has an IP address
        return BackendUnavailableError(
            f"the TLS certificate of {url} is not trusted: {_short(str(cause))}. {_WRONG_HOST}"
        )
    if url.startswith("http://") and isinstance(cause, (HTTPException, ConnectionResetError)):
        return BackendUnavailableError(
            f"{url} closed the connection: {_short(str(cause)).rstrip('.')}. "
            "If it speaks TLS, engine.url must begin with https://"
        )
    reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    if reason.startswith("Connect call failed") and isinstance(cause, OSError) and cause.errno:
        reason = os.strerror(cause.errno)  # asyncio has put its own words in its place
    return BackendUnavailableError(
        f"{url} does not answer: {_short(reason).rstrip('.')}. "
        "Is the search engine running, and is engine.url right?"
    )


def _reason(error: BaseException) -> str:
    """OpenSSL's short name of what went wrong."""
    return (error.reason or "") if isinstance(error, ssl.SSLError) else ""


def timed_out(*, url: str) -> BackendUnavailableError:
    """Connected, but no answer within the timeout; a write may have been done all the same."""
    return BackendUnavailableError(f"{url} did not answer in time (engine.timeout)")


def no_json(error: TypeError, what: str) -> BackendError:
    """A document or a body has a value that cannot be written as JSON."""
    return BackendError(f"{what} cannot be written as JSON: {_short(str(error))}")


def unreadable(error: BaseException, *, url: str) -> BackendError:
    """An answer whose JSON cannot be read."""
    reason = str(error.args[-1] if error.args else error)  # OpenSearch's puts the data before it
    return BackendError(f"the answer of {url} is not valid JSON: {_short(reason)}")


def reason_of(body: Any) -> str:
    """The engine's own words: the first root cause, then the inner causes that it does not quote.

    Args:
        body: a response with ``error``, an item of a bulk response, or text.
    """
    if isinstance(body, dict) and "error" in body:
        body = body["error"]
    if not isinstance(body, dict):
        return _short(str(body)) if body else "no reason given"
    first = (body.get("root_cause") or [body])[0]
    reasons = [_words(first)]
    for cause in _caused_by(body):
        # Outer reasons often quote the inner ones.
        if not any(str(cause.get("reason")) in reason for reason in reasons):
            reasons.append(_words(cause))
    if len(": ".join(reasons)) > _LONGEST:  # the first may quote a value, and the last say why
        reasons = _shortened(reasons)
    return ": ".join(map(_short, reasons))


def _shortened(reasons: list[str]) -> list[str]:
    """Within the limit together; what the short ones leave of it is for the long ones."""
    shown, left = dict[int, str](), _LONGEST
    for at in sorted(range(len(reasons)), key=lambda at: len(reasons[at])):
        shown[at] = _short(reasons[at], longest=left // (len(reasons) - len(shown)))
        left -= len(shown[at])
    return [shown[at] for at in range(len(reasons))]


def _caused_by(error: dict[str, Any]) -> Iterator[dict[str, Any]]:
    cause = error.get("caused_by")
    while isinstance(cause, dict):
        yield cause
        cause = cause.get("caused_by")


def _words(error: dict[str, Any]) -> str:
    # A gateway in front of the engine says "message".
    names = ("reason", "type", "message", "Message")
    said = str(next((error[name] for name in names if error.get(name)), "no reason given"))
    return said.rstrip(" ;")


def _type_of(body: Any) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    return str(error.get("type", "")) if isinstance(error, dict) else ""


def _types_of(body: Any) -> set[str]:
    """The types of an error and of all its causes; words alone may be quoted from a request."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return set()
    every = [error, *(error.get("root_cause") or []), *_caused_by(error)]
    return {str(each.get("type", "")) for each in every}


def _named(body: Any) -> str | None:
    """Name of the missing index, which may be one behind the alias that was asked for."""
    name = body["error"].get("index")
    return name if isinstance(name, str) else None


def _innermost(error: BaseException) -> BaseException:
    """The deepest operating system error in the chain, else the deepest error."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) and cause not in chain:
        chain.append(cause)
    return next((e for e in reversed(chain) if isinstance(e, OSError)), chain[-1])


def _short(text: str, *, longest: int = _LONGEST) -> str:
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[:longest]}…"
