"""Random interleavings of an application, workers that crash, and sweeps."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from vidsearch.errors import LeaseLostError, RegistryError
from vidsearch.registry import ErrorRecord, Lease, Registry, State
from vidsearch.testing.memory_engine import MemoryEngine

INDEX = "videos-registry"
ATTEMPTS = 3
WENT_WRONG = ErrorRecord(type="RuntimeError", stage="encode", message="out of luck")


class RegistryMachine(RuleBasedStateMachine):
    """One video. ``holder`` is what an all-knowing observer takes for the owner."""

    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000_000.0
        engine = MemoryEngine()
        engine.create_index(INDEX, {})
        self.registry = Registry(
            engine, index=INDEX, lease_seconds=60, max_attempts=ATTEMPTS, clock=lambda: self.now
        )
        self.registry.register("a", uri="/1.mp4")
        self.holder: str | None = None
        self.tokens: set[str | None] = set()

    @property
    def state(self) -> State:
        return self.registry.get("a").state

    @rule(uri=st.sampled_from(["/1.mp4", "/2.mp4"]))
    def register(self, uri: str) -> None:
        before = self.registry.get("a")
        after = self.registry.register("a", uri=uri)
        if after.state is State.REGISTERED and before.state is not State.REGISTERED:
            self.holder = None
        if after.state is State.PROCESSING:
            assert after == before
        assert after.uri == uri

    @rule(is_as_sent=st.booleans())
    def mark_queued(self, is_as_sent: bool) -> None:
        before = self.registry.get("a")
        due_at = before.due_at if is_as_sent else self.now + 1
        after = self.registry.mark_queued("a", due_at=due_at)
        marked = is_as_sent and before.state is State.REGISTERED
        assert after.state is (State.QUEUED if marked else before.state)

    @rule(target=leases, owner=st.sampled_from(["m1", "m2"]))
    def claim(self, owner: str) -> Lease | None:
        before = self.registry.get("a")
        try:
            lease = self.registry.claim("a", owner=owner)
        except LeaseLostError:
            after = self.registry.get("a")
            if before.state is State.PROCESSING and after.state is State.DEAD:
                self.holder = None
                return None
            live = before.state is State.PROCESSING and (before.lease_until or 0) >= self.now
            assert live or before.state not in {
                State.REGISTERED,
                State.QUEUED,
                State.PROCESSING,
            }
            return None
        if before.state is State.PROCESSING:
            own = str(before.owner).startswith(f"{owner}#")
            assert own or (before.lease_until or 0) < self.now, "the lease was live"
        assert lease.record.owner not in self.tokens, "a token is used once"
        self.tokens.add(lease.record.owner)
        self.holder = lease.record.owner
        return lease

    @rule(target=leases, lease=consumes(leases))
    def renew(self, lease: Lease | None) -> Lease | None:
        if lease is None:
            return None
        try:
            renewed = self.registry.renew(lease)
        except LeaseLostError:
            assert lease.record.owner != self.holder
            return None
        assert lease.record.owner == self.holder
        return renewed

    @rule(lease=consumes(leases), end=st.sampled_from(["complete", "fail", "count", "refund"]))
    def finish(self, lease: Lease | None, end: str) -> None:
        if lease is None:
            return
        try:
            if end == "complete":
                self.registry.complete(
                    lease,
                    fingerprint="f",
                    frames=1,
                    damaged=0,
                    segments=1,
                    duration=1.0,
                    seconds={},
                )
            elif end == "fail":
                self.registry.fail(lease, WENT_WRONG)
            else:
                self.registry.release(lease, WENT_WRONG, counted=end == "count")
        except LeaseLostError:
            assert lease.record.owner != self.holder
            return
        assert lease.record.owner == self.holder
        self.holder = None
        expected = {
            "complete": {State.INDEXED},
            "fail": {State.FAILED},
            "count": {State.REGISTERED, State.DEAD},
            "refund": {State.REGISTERED},
        }
        assert self.state in expected[end]

    @rule(owner=st.sampled_from(["m1", "m2"]))
    def hand_back(self, owner: str) -> None:
        before = self.registry.get("a")
        after = self.registry.hand_back("a", owner=owner, error=WENT_WRONG)
        if before.state is State.PROCESSING and str(before.owner).startswith(f"{owner}#"):
            assert (after.state, after.attempts) == (State.REGISTERED, before.attempts - 1)
            self.holder = None
        else:
            assert after == before

    @rule()
    def delete(self) -> None:
        self.registry.delete("a")
        self.holder = None
        assert self.state is State.DELETED

    @rule()
    def retry(self) -> None:
        with suppress(RegistryError):
            assert self.registry.retry("a").attempts == 0

    @rule(forget=st.booleans())
    def reopen(self, forget: bool) -> None:
        with suppress(RegistryError):
            before = self.registry.get("a")
            after = self.registry.reopen("a", forget=forget)
            if before.state is State.PROCESSING and after.state is State.REGISTERED:
                self.holder = None

    @rule(seconds=st.sampled_from([1.0, 30.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def sweep(self) -> None:
        for found in list(self.registry.sweepable()):
            before = self.state
            record = self.registry.recover(found.id)
            assert record is not None
            if before is State.PROCESSING:
                self.holder = None
            if before is State.DELETED:
                assert record.state is State.DELETED
        assert list(self.registry.sweepable()) == []

    @invariant()
    def the_record_makes_sense(self) -> None:
        record = self.registry.get("a")
        held = record.owner is not None
        assert held == (record.lease_until is not None)
        if record.state is State.PROCESSING:
            assert record.owner == self.holder
            assert record.attempts >= 1
        else:
            assert not held or record.state is State.DELETED
        assert record.attempts <= ATTEMPTS
        if record.state is State.DEAD:
            assert record.attempts >= ATTEMPTS
            assert record.error is not None
        if record.state is State.FAILED:
            assert record.error is not None
        if record.state is State.INDEXED:
            assert record.fingerprint == "f"
        assert sum(self.registry.counts().values()) == 1


RegistryMachine.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None
)
TestRegistryMachine = RegistryMachine.TestCase
