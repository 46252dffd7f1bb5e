"""From an error to what becomes of the video."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from vidsearch import errors
from vidsearch.errors import BackendUnavailableError, Fault, MappingConflictError, VidsearchError
from vidsearch.media.isolation.protocol import error_from, error_message
from vidsearch.retry import Decision, decide, engine_delay, pause_delay, retry_delay

FAIL, GONE, SKIP = Decision.FAIL, Decision.GONE, Decision.SKIP
RETRY, OUTLAST, BACK = Decision.RETRY, Decision.OUTLAST, Decision.GIVE_BACK

TABLE: dict[str, tuple[Fault, Decision]] = {
    "BackendAccessDeniedError": ("setup", BACK),
    "BackendError": ("setup", BACK),
    "BackendUnavailableError": ("outage", OUTLAST),
    "BulkError": ("unknown", RETRY),
    "ConfigError": ("setup", BACK),
    "DecoderFailedError": ("video", FAIL),
    "DecoderKilledError": ("unknown", RETRY),
    "DocumentNotFoundError": ("gone", GONE),
    "DocumentRejectedError": ("video", FAIL),
    "SliceFailedError": ("video", FAIL),
    "EncoderError": ("unknown", RETRY),
    "EvaluationError": ("caller", RETRY),
    "FineTuningError": ("caller", RETRY),
    "IndexNotFoundError": ("setup", BACK),
    "LeaseLostError": ("lost", SKIP),
    "LocalError": ("setup", BACK),
    "MappingConflictError": ("setup", BACK),
    "RequestTooLargeError": ("setup", BACK),
    "TooManyBucketsError": ("setup", BACK),
    "MissingExtraError": ("setup", BACK),
    "ModelMismatchError": ("setup", BACK),
    "ModelUnavailableError": ("setup", BACK),
    "NoFramesError": ("video", FAIL),
    "QueryError": ("caller", RETRY),
    "VideoListError": ("caller", RETRY),
    "RegistryError": ("caller", RETRY),
    "ReindexCheckError": ("setup", BACK),
    "ReindexError": ("caller", RETRY),
    "ReindexTakenOverError": ("lost", SKIP),
    "SourceForbiddenError": ("video", FAIL),
    "SourceNotFoundError": ("video", FAIL),
    "SourcePausedError": ("outage", OUTLAST),
    "SourceRootMissingError": ("setup", BACK),
    "SourceUnavailableError": ("outage", OUTLAST),
    "SourceUnsupportedError": ("video", FAIL),
    "TemporaryFolderError": ("setup", BACK),
    "VersionConflictError": ("conflict", RETRY),
    "VideoDamagedError": ("video", FAIL),
    "VideoError": ("video", FAIL),
    "VideoNotRegisteredError": ("caller", RETRY),
    "VideoOpenError": ("video", FAIL),
    "VideoTooLargeError": ("video", FAIL),
    "VidsearchError": ("unknown", RETRY),
    "WorkerStoppingError": ("outage", OUTLAST),
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

    assert decide(ShardMissingError("away")) is OUTLAST


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
    assert decide(error) is BACK


@pytest.mark.parametrize("name", ["ConfigError", "SourceUnavailableError", "VideoOpenError"])
def test_error_of_the_decoding_process_keeps_its_decision(name: str) -> None:
    error = error_from(error_message(_CLASSES[name]("no luck")))
    assert (error.fault, decide(error)) == TABLE[name]


@pytest.mark.parametrize(("attempts", "longest"), [(1, 5), (2, 10), (4, 40), (8, 600), (1000, 600)])
def test_delay_doubles_with_each_attempt_up_to_ten_minutes(attempts: int, longest: float) -> None:
    delays = [retry_delay(RETRY, attempts=attempts, age=0, first=5) for _ in range(200)]
    assert longest / 2 <= min(delays)
    assert max(delays) <= longest
    assert max(delays) - min(delays) > longest / 4


@pytest.mark.parametrize(("age", "longest"), [(0, 5), (7, 7), (100, 100), (9000, 600)])
def test_delay_in_an_outage_is_as_long_as_it_has_lasted(age: float, longest: float) -> None:
    delays = [retry_delay(OUTLAST, attempts=1, age=age, first=5) for _ in range(200)]
    assert longest / 2 <= min(delays) <= max(delays) <= longest


def test_video_that_a_worker_is_not_set_up_for_is_due_at_once() -> None:
    assert retry_delay(BACK, attempts=1, age=9000, first=5) == 0


def test_pauses_grow_to_a_minute_and_looks_at_the_engine_to_two_seconds() -> None:
    assert 2.5 <= pause_delay(1, first=5) <= 5
    assert 30 <= pause_delay(50, first=5) <= 60
    assert 0.25 <= engine_delay(1) <= 0.5
    assert 1 <= engine_delay(50) <= 2
