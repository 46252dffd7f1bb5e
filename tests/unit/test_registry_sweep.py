"""What the sweep takes: the rule as a predicate and as a query."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vidsearch.registry import State, VideoRecord
from vidsearch.registry.sweep_rules import needs_sweep, sweep_query
from vidsearch.testing.memory_engine import MemoryEngine

NOW, TIMEOUT = 1_000_000.0, 60.0

# Around the two limits, now and now - timeout, by the millisecond.
_times = st.sampled_from(
    [limit + step for limit in (NOW, NOW - TIMEOUT) for step in (-1.0, -0.001, 0.0, 0.001, 1.0)]
)
_records = st.builds(
    VideoRecord,
    id=st.uuids().map(str),
    uri=st.just("/a.mp4"),
    state=st.sampled_from(State),
    lease_until=st.none() | _times,
    due_at=st.none() | _times,
    updated_at=_times,
)


@given(st.lists(_records, min_size=20, max_size=40, unique_by=lambda record: record.id))
def test_the_query_finds_what_the_predicate_holds_for(records: list[VideoRecord]) -> None:
    engine = MemoryEngine()
    engine.create_index("registry", {})
    for record in records:
        engine.put("registry", record.id, record.to_source())
    found = {d.id for d in engine.scan("registry", query=sweep_query(now=NOW, timeout=TIMEOUT))}
    wanted = {r.id for r in records if needs_sweep(r, now=NOW, timeout=TIMEOUT)}
    assert found == wanted
