"""The thread that keeps a lease alive."""

from __future__ import annotations

import pytest
from tests.waiting import until

from vidsearch.errors import BackendUnavailableError, LeaseLostError
from vidsearch.registry import ErrorRecord, Lease, LeaseKeeper, Registry, State, lease_keeper
from vidsearch.testing.memory_engine import MemoryEngine

BROKEN = ErrorRecord(type="VideoOpenError", stage="decode", message="not a video")


class Counting(Registry):
    """Counts renewals; some of them find the engine away."""

    renewals = 0
    away = 0

    def renew(self, lease: Lease) -> Lease:
        self.renewals += 1
        if self.renewals <= self.away:
            raise BackendUnavailableError("away")
        return super().renew(lease)


@pytest.fixture
def registry() -> Counting:
    engine = MemoryEngine()
    engine.create_index("registry", {})
    registry = Counting(engine, index="registry", lease_seconds=0.3)
    registry.register("a", uri="/a.mp4")
    return registry


def wait_until(registry: Counting, renewals: int) -> None:
    until(lambda: registry.renewals >= renewals, what=f"{renewals} renewals")


def test_a_renewal_by_hand_does_not_end_the_thread(registry: Counting) -> None:
    with LeaseKeeper(registry, registry.claim("a", owner="w")) as keeper:
        keeper.renew()
        after = registry.renewals
        wait_until(registry, after + 3)
        keeper.renew()
        lease = keeper.finish()
    assert registry.get("a") == lease.record
    assert registry.fail(lease, BROKEN).state is State.FAILED


def test_an_outage_does_not_end_the_thread(registry: Counting) -> None:
    registry.away = 2
    with LeaseKeeper(registry, registry.claim("a", owner="w")) as keeper:
        wait_until(registry, 4)
        keeper.check()


def test_an_engine_that_is_back_is_found_soon_and_not_at_the_next_third_of_the_lease(
    registry: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_keeper, "RENEW_AGAIN_SECONDS", 0.01)
    registry.lease_seconds, registry.away = 3600.0, 3
    with LeaseKeeper(registry, registry.claim("a", owner="w")) as keeper:
        keeper._thread.start()  # as after a third of the lease
        wait_until(registry, 4)
        keeper.check()
        assert registry.renewals == 4, "after that it is renewed as ever"


def test_a_lost_lease_is_told_by_every_method(registry: Counting) -> None:
    with LeaseKeeper(registry, registry.claim("a", owner="w")) as keeper:
        registry.delete("a")
        for method in (keeper.renew, keeper.check, keeper.renew, keeper.finish):
            with pytest.raises(LeaseLostError, match="it is deleted"):
                method()


def test_a_lease_that_the_thread_finds_lost_is_told(registry: Counting) -> None:
    with LeaseKeeper(registry, registry.claim("a", owner="w")) as keeper:
        registry.delete("a")
        wait_until(registry, 1)
        with pytest.raises(LeaseLostError):
            keeper.finish()
