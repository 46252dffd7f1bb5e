"""The registry's state machine: each transition from each state, without a store."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from vidsearch.errors import LeaseLostError, RegistryError, VideoNotRegisteredError
from vidsearch.registry import ErrorRecord, NewVideo, State, VideoRecord, transitions

NOW = 1_000_000.0
ERROR = ErrorRecord(type="T", stage="decode", message="m")
Ends = dict[State, State | type[Exception]]
SAME: Ends = {state: state for state in State}
REGISTERED: Ends = dict.fromkeys(State, State.REGISTERED)

CASES: dict[str, tuple[Callable[[VideoRecord, float], VideoRecord], Ends]] = {
    "register the same": (
        partial(transitions.register, video=NewVideo("a", "/a.mp4")),
        {**SAME, **dict.fromkeys((State.FAILED, State.DEAD, State.DELETED), State.REGISTERED)},
    ),
    "register another uri": (
        partial(transitions.register, video=NewVideo("a", "/b.mp4")),
        REGISTERED,
    ),
    "mark_queued": (transitions.mark_queued, {**SAME, State.REGISTERED: State.QUEUED}),
    "claim": (
        partial(transitions.claim, token="w#1", owners=["w"], lease_seconds=60, max_attempts=2),
        {
            **dict.fromkeys(State, LeaseLostError),
            State.REGISTERED: State.PROCESSING,
            State.QUEUED: State.PROCESSING,
        },
    ),
    "claim one's own": (
        partial(
            transitions.claim,
            token="new#2",
            owners=["other", "new"],
            lease_seconds=60,
            max_attempts=1,
        ),
        {
            **dict.fromkeys(State, LeaseLostError),
            State.REGISTERED: State.PROCESSING,
            State.QUEUED: State.PROCESSING,
            State.PROCESSING: State.PROCESSING,
        },
    ),
    "retry": (
        transitions.retry,
        {
            **dict.fromkeys(State, RegistryError),
            State.FAILED: State.REGISTERED,
            State.DEAD: State.REGISTERED,
        },
    ),
    "reopen": (
        partial(transitions.reopen, forget=False),
        {
            **REGISTERED,
            State.QUEUED: State.QUEUED,
            State.PROCESSING: State.PROCESSING,
            State.DELETED: VideoNotRegisteredError,
        },
    ),
    "reopen to ask": (
        partial(transitions.reopen, forget=False, ask=True),
        {
            **REGISTERED,
            State.QUEUED: State.QUEUED,
            State.PROCESSING: State.PROCESSING,
            State.DELETED: VideoNotRegisteredError,
        },
    ),
    "reopen to forget": (
        partial(transitions.reopen, forget=True),
        {**REGISTERED, State.DELETED: VideoNotRegisteredError},
    ),
    "reopen with another file": (
        partial(transitions.reopen, forget=False, replaced=True),
        {**REGISTERED, State.DELETED: VideoNotRegisteredError},
    ),
    "delete": (partial(transitions.delete, error=None), dict.fromkeys(State, State.DELETED)),
}


def record_in(state: State) -> VideoRecord:
    held = state is State.PROCESSING
    return VideoRecord(
        id="a",
        uri="/a.mp4",
        state=state,
        attempts=1,
        owner="other#1" if held else None,
        lease_until=NOW + 1 if held else None,
        fingerprint="f",
    )


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("name", CASES)
def test_a_transition_leads_to_its_state_or_is_refused(name: str, state: State) -> None:
    transition, ends = CASES[name]
    before, end = record_in(state), ends[state]
    if not isinstance(end, State):
        with pytest.raises(end):
            transition(before, NOW)
        return
    after = transition(before, NOW)
    assert after.state is end
    if after is not before:
        assert after.updated_at == NOW


@pytest.mark.parametrize(("max_attempts", "end"), [(1, State.DEAD), (2, State.PROCESSING)])
def test_a_lease_that_ran_out_is_taken_while_attempts_last(max_attempts: int, end: State) -> None:
    before = record_in(State.PROCESSING)
    after = transitions.claim(
        before, NOW + 2, token="w#1", owners=["w"], lease_seconds=60, max_attempts=max_attempts
    )
    assert after.state is end


@pytest.mark.parametrize(
    ("counted", "max_attempts", "end", "attempts"),
    [(True, 1, State.DEAD, 1), (True, 2, State.REGISTERED, 1), (False, 1, State.REGISTERED, 0)],
)
def test_a_release_counts_the_attempt_or_takes_it_back(
    counted: bool, max_attempts: int, end: State, attempts: int
) -> None:
    after = transitions.release(
        record_in(State.PROCESSING),
        NOW,
        error=ERROR,
        counted=counted,
        delay=5.0,
        max_attempts=max_attempts,
    )
    assert (after.state, after.attempts, after.error) == (end, attempts, ERROR)
    assert after.due_at == (None if end is State.DEAD else NOW + 5)
    assert (after.owner, after.lease_until) == (None, None)


@pytest.mark.parametrize(
    ("state", "max_attempts", "end"),
    [
        (State.REGISTERED, 3, State.REGISTERED),
        (State.QUEUED, 3, State.REGISTERED),
        (State.PROCESSING, 3, State.REGISTERED),
        (State.PROCESSING, 1, State.DEAD),
        (State.DELETED, 3, State.DELETED),
    ],
)
def test_the_sweep_takes_a_forgotten_video_back(
    state: State, max_attempts: int, end: State
) -> None:
    after = transitions.recover(record_in(state), NOW, max_attempts=max_attempts)
    assert after.state is end
    assert (after.owner, after.lease_until) == (None, None)
    assert after.due_at == (NOW if end is State.REGISTERED else None), "the next sweep sends it"


def test_only_given_up_or_deleted_videos_without_a_lease_are_purgeable() -> None:
    purgeable = {state for state in State if transitions.is_purgeable(record_in(state))}
    assert purgeable == {State.FAILED, State.DEAD, State.DELETED}
    held = record_in(State.DELETED).changed(lease_until=NOW)
    assert not transitions.is_purgeable(held)
