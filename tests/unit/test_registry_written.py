"""What a record notes of its documents: their fields, and their fingerprints in other indices."""

from __future__ import annotations

from functools import partial

import pytest

from vidsearch.registry import FieldChange, State, VideoRecord, transitions
from vidsearch.registry.written import fields_taken_back, fields_written, filled

NOW = 1_000_000.0
INDEXED = VideoRecord("a", "/a.mp4", state=State.INDEXED, fingerprint="f", updated_at=5.0)
NOTED = INDEXED.changed(fingerprints={"new": {"of": "f", "is": "g"}})


def test_fields_that_are_written_are_no_longer_due_but_others_still_are() -> None:
    record = INDEXED.changed(fields={"title": "B"}, due_at=4.0)
    assert fields_written(record, NOW, fields={"title": "B"}).due_at is None
    assert fields_written(record, NOW, fields={"title": "A"}) is record


def test_of_fields_that_are_taken_back_those_of_others_stay_and_are_due() -> None:
    title = FieldChange({"title": "B"})
    record = INDEXED.changed(fields={"title": "B", "note": 1}, due_at=4.0)
    alone = fields_taken_back(record, NOW, change=title, kept={"title": "A", "note": 1})
    assert (alone.fields, alone.due_at) == ({"title": "A", "note": 1}, None)
    after = fields_taken_back(record, NOW, change=title, kept={"title": "A"})
    assert (after.fields, after.due_at) == ({"title": "A", "note": 1}, 4.0)
    later = record.changed(fields={"title": "C"})
    after = fields_taken_back(later, NOW, change=title, kept={"title": "A"})
    assert (after.fields, after.due_at) == ({"title": "C"}, 4.0)
    removed = FieldChange({}, frozenset({"note"}))
    after = fields_taken_back(later, NOW, change=removed, kept={"title": "A", "note": 1})
    assert after.fields == {"title": "C", "note": 1}
    whole = FieldChange({"title": "B"}, removed=None)
    after = fields_taken_back(record, NOW, change=whole, kept={"title": "A", "year": 1})
    assert after.fields == {"title": "A", "year": 1, "note": 1}


def test_fields_are_taken_back_in_every_state_but_deleted() -> None:
    title = FieldChange({"title": "B"})
    for state in (state for state in State if state is not State.INDEXED):
        record = INDEXED.changed(state=state, fields={"title": "B", "note": 1})
        after = fields_taken_back(record, NOW, change=title, kept={"note": 2})
        gone = state is State.DELETED
        assert after.fields == ({"title": "B", "note": 1} if gone else {"note": 1})


def test_a_made_document_is_noted_and_the_last_change_stays() -> None:
    after = filled(INDEXED, NOW, index="new", of="f", fingerprint="g")
    assert after == NOTED
    assert filled(after, NOW, index="new", of="f", fingerprint="g") is after
    more = filled(after, NOW, index="third", of="f", fingerprint="h")
    assert more.fingerprints == {**NOTED.fingerprints, "third": {"of": "f", "is": "h"}}


@pytest.mark.parametrize("state", [State.REGISTERED, State.QUEUED, State.DEAD])
def test_a_made_document_of_what_was_indexed_last_is_noted(state: State) -> None:
    record = INDEXED.changed(state=state, content="c")
    after = filled(record, NOW, index="new", of="f", fingerprint="g")
    assert after == record.changed(fingerprints=NOTED.fingerprints)
    for known in ({"content": None}, {"source": {"slices": {"count": 2}}}):  # of another file
        other = record.changed(**known)
        assert filled(other, NOW, index="new", of="f", fingerprint="g") is other


@pytest.mark.parametrize("state", [State.PROCESSING, State.FAILED, State.DELETED])
def test_of_a_video_that_a_worker_is_at_or_that_has_none_nothing_is_noted(state: State) -> None:
    record = INDEXED.changed(state=state, content="c")
    assert filled(record, NOW, index="new", of="f", fingerprint="g") is record


@pytest.mark.parametrize("of", ["other", None])
def test_what_was_made_of_another_content_is_not_noted(of: str | None) -> None:
    record = INDEXED if of else INDEXED.changed(fingerprint=None)
    assert filled(record, NOW, index="new", of=of, fingerprint="g") is record


def test_a_document_is_current_with_the_fingerprint_of_its_index() -> None:
    assert NOTED.is_current("g", index="new")
    assert NOTED.is_current("f", index="new")  # of an index that is like the old one
    assert NOTED.is_current("f", index="old")
    assert not NOTED.is_current("g", index="old")
    assert not NOTED.is_current("h", index="new")
    assert not NOTED.is_current(None, index="new")
    assert not NOTED.changed(fingerprint=None).is_current("g", index="new")


def test_an_ingest_outdates_the_other_index_whoever_does_it() -> None:
    complete = partial(transitions.complete, frames=1)
    assert complete(NOTED, NOW).fingerprints == NOTED.fingerprints
    assert complete(NOTED, NOW, fingerprint="f").fingerprints == NOTED.fingerprints
    assert complete(NOTED, NOW, fingerprint="f2").fingerprints == {}
    older = NOTED.changed(fingerprint="f2")  # by a version that keeps what it does not know
    assert not older.is_current("g", index="new")


@pytest.mark.parametrize(
    "forgotten",
    [
        partial(transitions.reopen, forget=True),
        partial(transitions.delete, error=None),
    ],
)
def test_what_is_forgotten_has_no_fingerprints(forgotten: partial[VideoRecord]) -> None:
    assert forgotten(NOTED, NOW).fingerprints == {}


def test_the_fingerprints_are_stored_and_read_back() -> None:
    assert VideoRecord.from_source("a", NOTED.to_source()) == NOTED
    assert "fingerprints" not in INDEXED.to_source()
