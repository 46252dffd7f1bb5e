"""What is told of an engine's answer that says why it refused a request."""

from __future__ import annotations

from vidsearch.engines.errors import error_of, reason_of


def test_cause_behind_a_value_that_the_engine_quotes_is_told() -> None:
    quoted = (
        "failed to parse field [tags] of type [keyword]. Preview of field's value: " + "q" * 40000
    )
    cause = {
        "type": "illegal_argument_exception",
        "reason": "at least one immense term: " + "9 " * 900,
    }
    error = {"root_cause": [{"reason": quoted}], "reason": quoted, "caused_by": cause}
    told = str(error_of(400, {"error": error}, url="http://h", index="videos"))
    assert "field [tags] of type [keyword]" in told
    assert "at least one immense term" in told
    assert len(told) < 800


def test_words_that_have_room_are_told_whole() -> None:
    cause = {"reason": "Cannot parse object as number"}
    error = {"root_cause": [{"reason": "w" * 500}], "reason": "w" * 500, "caused_by": cause}
    told = str(error_of(400, {"error": error}, url="http://h", index="videos"))
    assert f"{'w' * 500}: Cannot parse object as number" in told


def test_what_short_reasons_leave_is_for_the_long_ones() -> None:
    cause = {"reason": "why", "caused_by": {"reason": "because"}}
    said = reason_of({"error": {"root_cause": [{"reason": "w" * 700}], "caused_by": cause}})
    assert said == f"{'w' * 590}…: why: because"
    whole = reason_of({"error": {"root_cause": [{"reason": "w" * 589}], "caused_by": cause}})
    assert whole == f"{'w' * 589}: why: because"
