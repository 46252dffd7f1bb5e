"""From an error to what becomes of the video."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from vidsearch import errors
from vidsearch.errors import BackendUnavailableError, Fault, MappingConflictError, VidsearchError
from vidsearch.media.isolation.protocol import error_from, error_message
from vidsearch.retry import Decision, decide, outage_uses_up_attempt, retry_delay

FAIL, GONE, SKIP = Decision.FAIL, Decision.GONE, Decision.SKIP
RETRY, UNCOUNTED = Decision.RETRY, Decision.RETRY_UNCOUNTED

TABLE: dict[str, tuple[Fault, Decision]] = {
    "BackendAccessDeniedError": ("setup", UNCOUNTED),
    "BackendError": ("setup", UNCOUNTED),
    "BackendUnavailableError": ("outage", UNCOUNTED),
    "BulkError": ("unknown", RETRY),
    "ConfigError": ("setup", UNCOUNTED),
    "DecoderFailedError": ("video", FAIL),
    "DecoderKilledError": ("unknown", RETRY),
    "DocumentNotFoundError": ("gone", GONE),
    "DocumentRejectedError": ("video", FAIL),
    "SliceFailedError": ("video", FAIL),
    "EncoderError": ("unknown", RETRY),
    "IndexNotFoundError": ("setup", UNCOUNTED),
    "LeaseLostError": ("lost", SKIP),
    "LocalError": ("setup", UNCOUNTED),
    "MappingConflictError": ("setup", UNCOUNTED),
    "RequestTooLargeError": ("setup", UNCOUNTED),
    "MissingExtraError": ("setup", UNCOUNTED),
    "ModelMismatchError": ("setup", UNCOUNTED),
    "ModelUnavailableError": ("setup", UNCOUNTED),
    "NoFramesError": ("video", FAIL),
    "QueryError": ("caller", RETRY),
    "VideoListError": ("caller", RETRY),
    "RegistryError": ("caller", RETRY),
    "SourceForbiddenError": ("video", FAIL),
    "SourceNotFoundError": ("video", FAIL),
    "SourceUnavailableError": ("outage", UNCOUNTED),
    "SourceUnsupportedError": ("video", FAIL),
    "VersionConflictError": ("conflict", RETRY),
    "VideoDamagedError": ("video", FAIL),
    "VideoError": ("video", FAIL),
    "VideoNotRegisteredError": ("caller", RETRY),
    "VideoOpenError": ("video", FAIL),
    "VideoTooLargeError": ("video", FAIL),
    "VidsearchError": ("unknown", RETRY),
}

_CLASSES: dict[str, type[VidsearchError]] = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, VidsearchError)
}


def test_table_covers_every_class_of_the_tree() -> None:
    assert TABLE.keys() == _CLASSES.keys()


@pytest.mark.parametrize("name", sorted(TABLE))
def test_error_leads_to_its_decision(name: str) -> None:
    kind, (fault, decision) = _CLASSES[name], TABLE[name]
    assert (kind.fault, decide(kind("no luck"))) == (fault, decision)


def test_subclass_inherits_the_decision() -> None:
    class ShardMissingError(BackendUnavailableError):
        """Of another package."""

    assert decide(ShardMissingError("away")) is UNCOUNTED


@pytest.mark.parametrize("error", [RuntimeError("bug"), MemoryError(), ValueError("odd")])
def test_foreign_error_is_retried_and_counted(error: Exception) -> None:
    assert decide(error) is RETRY


def test_foreign_error_with_a_fault_attribute_is_retried_and_counted() -> None:
    error: Any = RuntimeError("bug")
    error.fault = "video"
    assert decide(error) is RETRY


def test_cause_does_not_change_the_decision() -> None:
    error = MappingConflictError("other layout")
    error.__cause__ = BackendUnavailableError("away")
    assert decide(error) is UNCOUNTED


@pytest.mark.parametrize("name", ["ConfigError", "SourceUnavailableError", "VideoOpenError"])
def test_error_of_the_decoding_process_keeps_its_decision(name: str) -> None:
    error = error_from(error_message(_CLASSES[name]("no luck")))
    assert (error.fault, decide(error)) == TABLE[name]


def test_every_tenth_outage_in_a_row_uses_up_an_attempt() -> None:
    assert [tries for tries in range(30) if outage_uses_up_attempt(tries)] == [9, 19, 29]


def test_delay_doubles_with_jitter_up_to_ten_minutes() -> None:
    for retries, longest in ((0, 5), (1, 10), (3, 40), (7, 600), (1000, 600)):
        delays = [retry_delay(retries, first=5) for _ in range(200)]
        assert longest / 2 <= min(delays)
        assert max(delays) <= longest
        assert max(delays) - min(delays) > longest / 4
