"""What the registry keeps of an error: message and causes, without what they may give away."""

from __future__ import annotations

from itertools import pairwise

from vidsearch_mappings.registry import ErrorRecord


def caught(*errors: BaseException) -> BaseException:
    """The first error, each caused by the next."""
    for error, cause in pairwise(errors):
        error.__cause__ = cause
    return errors[0]


def test_causes_are_kept_from_the_nearest_to_the_first() -> None:
    error = caught(RuntimeError("no frame"), ValueError("bad\npacket"), OSError())
    record = ErrorRecord.of(error, stage="decode")
    assert str(record) == "RuntimeError (decode): no frame"
    assert record.causes == ("ValueError: bad packet", "OSError")
    assert ErrorRecord.from_source(record.to_source()) == record
    assert record.to_source()["causes"] == ["ValueError: bad packet", "OSError"]


def test_error_without_a_cause_has_no_such_field() -> None:
    record = ErrorRecord.of(RuntimeError("x"), stage="decode")
    assert record.to_source() == {"type": "RuntimeError", "stage": "decode", "message": "x"}


def test_context_counts_unless_it_is_suppressed() -> None:
    def raised(*, suppress: bool) -> ErrorRecord:
        try:
            try:
                raise KeyError("inner")
            except KeyError as inner:
                if suppress:
                    raise ValueError("outer") from None
                raise ValueError("outer") from (None if suppress else inner)
        except ValueError as error:
            return ErrorRecord.of(error, stage="x")

    assert raised(suppress=False).causes == ("KeyError: 'inner'",)
    assert raised(suppress=True).causes == ()


def test_causes_are_few_and_short() -> None:
    error = caught(*(RuntimeError("x" * 5000) for _ in range(20)))
    record = ErrorRecord.of(error, stage="x")
    assert len(record.causes) == 5
    assert max(map(len, record.causes)) == 300
    assert len(record.message) == 1000


def test_secrets_in_message_and_causes_are_masked() -> None:
    url = "https://me:hunter2@api.example/embed?key=hunter2"
    error = caught(RuntimeError(f"401 for url: {url}"), OSError(f"GET {url} failed"))
    record = ErrorRecord.of(error, stage="encode")
    assert record.message == "401 for url: https://…@api.example/embed?…"
    assert record.causes == ("OSError: GET https://…@api.example/embed?… failed",)
