"""Fixtures for all tests.

Services are real and started on first use: ``search_node`` (each of the three engines in turn),
``elasticsearch_9``, ``elasticsearch_8``, ``opensearch_2``, ``redis_url``. Where one cannot be had,
the test is skipped with the reason, or fails where ``CI`` is set.
"""

from __future__ import annotations

import gc
import os
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from tests.order import TurnedFolder, mixed
from tests.services import NODES, WHOLE_WAYS, RunningServices, start_node
from tests.shared_nodes import NodeHost, turn

from vidsearch.engines import Engine
from vidsearch.local import SearchNode
from vidsearch.testing.clips import normal_scheduling

# The developer's own settings must not reach a test, nor a process that a test starts.
for _name in [name for name in os.environ if name.upper().startswith("VIDSEARCH_")]:
    del os.environ[_name]

# Haystack and LangChain would tell their makers what they are used for.
os.environ.update(HAYSTACK_TELEMETRY_ENABLED="false", LANGSMITH_TRACING_V2="false")

# How long an example takes says something of the machine's load only. CI tries the same examples in
# every run, so that what it says is about the change; elsewhere each run tries others.
settings.register_profile(
    "shared",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("shared")


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Whole ways, through commands and workers, go over the newest node of each engine; and so do
    tests marked ``newest_nodes``.

    What goes over the wire is held to all three by the contract tests and ``test_*_engines.py``.
    Those marked ``one_node``, such as ``one_node("os-2.19.1")``, go over the other one in the drill
    alone: the engine has no part in them, or has in another test here as well.
    """
    definition = metafunc.definition
    is_whole_way = "demo_env" in metafunc.fixturenames or "e2e" in definition.nodeid
    is_newest = definition.get_closest_marker("newest_nodes") is not None
    is_given = any("search_node" in mark.args[0] for mark in definition.iter_markers("parametrize"))
    one = definition.get_closest_marker("one_node")
    few = is_whole_way or is_newest or one is not None
    if "search_node" in metafunc.fixturenames and few and not is_given:
        wanted = WHOLE_WAYS if one is None else one.args
        names = [
            pytest.param(name, marks=() if name in wanted else pytest.mark.drill)
            for name in WHOLE_WAYS
        ]
        nodes = pytest.mark.parametrize("search_node", names, indirect=True, scope="session")
        definition.add_marker(nodes)


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Each tester of pytest-xdist begins a folder elsewhere (``order.TurnedFolder``)."""
    if not hasattr(parent.config, "workerinput") or (path / "__init__.py").exists():
        return None
    folder: pytest.Collector = TurnedFolder.from_parent(parent, path=path)
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None]:
    """A test of services that fails is run once more, and the summary names it (``RERUN``).

    Nodes, workers and encoders share two cores with the tests; among thousands of tests, one may
    wait too short. A fault that stays fails twice. Unit tests have no such excuse.
    """
    for item in items:
        if _UNIT not in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=1))
    is_tester = hasattr(config, "workerinput")
    if is_tester:
        items.sort(key=lambda item: item.path)  # in one order by all of them
    yield  # pytest itself puts the tests of each node in a row
    if is_tester:
        items[:] = mixed(items, unit=_UNIT)


def pytest_collection_finish() -> None:
    """Spare the collector of garbage the modules and tests, which stay: a million objects.

    It looked through them again and again, for a seventh of the time of the unit tests.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


_UNIT = Path(__file__).with_name("unit")
_HOST = pytest.StashKey[NodeHost]()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Testers of pytest-xdist share the nodes of the process that starts them."""
    stash = node.config.stash
    if _HOST not in stash:
        stash[_HOST] = NodeHost(start_node, names=NODES)
    node.workerinput["nodes"] = stash[_HOST].address


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the nodes that testers shared."""
    if (host := config.stash.get(_HOST, None)) is not None:
        host.stop()


@pytest.hookimpl(wrapper=True, tryfirst=True)  # what is waited for here is no part of the test
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test marked ``alone`` is, among those of services of all testers."""
    fixtures = getattr(item, "fixturenames", ())
    tester = getattr(item.config, "workerinput", None)
    # A unit test may have a fixture of that name itself.
    if tester is None or "services" not in fixtures or _UNIT in item.path.parents:
        return (yield)
    folder, _ = tester["nodes"]
    with turn(Path(folder), alone=item.get_closest_marker("alone") is not None):
        return (yield)


@pytest.fixture(autouse=True)
def scheduling() -> Iterator[None]:
    """Some tests write AV1 on ways of their own."""
    with normal_scheduling():
        yield


@pytest.fixture(scope="session", autouse=True)
def locks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Testers embed the same clips, and wait for no other one; nor do their locks stay behind."""
    folder = str(tmp_path_factory.mktemp("locks"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vidsearch.media.file_locks.gettempdir", lambda: folder)
        yield


@pytest.fixture
def one_torch_thread() -> Iterator[None]:
    """Batches are tiny: a second thread would only wait for the first."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def services(request: pytest.FixtureRequest) -> Iterator[RunningServices]:
    """All services of the session; prefer the fixtures below."""
    tester = getattr(request.config, "workerinput", {})
    running = RunningServices(host=tester.get("nodes"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def elasticsearch_9(services: RunningServices) -> SearchNode:
    """Elasticsearch 9.5.3: ``.url``, ``.kind``, ``.version``."""
    return services.node("es-9.5.3")


@pytest.fixture(scope="session")
def elasticsearch_8(services: RunningServices) -> SearchNode:
    """Elasticsearch 8.19.21."""
    return services.node("es-8.19.21")


@pytest.fixture(scope="session")
def opensearch_2(services: RunningServices) -> SearchNode:
    """OpenSearch 2.19.1 with k-NN and neural-search."""
    return services.node("os-2.19.1")


@pytest.fixture(scope="session", params=list(NODES))
def search_node(request: pytest.FixtureRequest, services: RunningServices) -> SearchNode:
    """Each of the three nodes in turn."""
    return services.node(request.param)


@pytest.fixture(scope="session")
def redis_url(services: RunningServices) -> str:
    """URL of a Redis for this session; take a queue name of your own."""
    return services.redis_url()


@pytest.fixture
def engine(search_node: SearchNode) -> Iterator[Engine]:
    """A connected engine of each of the three nodes in turn."""
    yield from _connected(search_node)


@pytest.fixture(scope="module")
def shared_engine(search_node: SearchNode) -> Iterator[Engine]:
    """As ``engine``, one for all tests of a module."""
    yield from _connected(search_node)


def _connected(node: SearchNode) -> Iterator[Engine]:
    from vidsearch.config import EngineSettings
    from vidsearch.engines import connect

    engine = connect(EngineSettings(url=node.url, kind=node.kind))
    yield engine
    engine.close()


@pytest.fixture
def index_name(services: RunningServices) -> Iterator[str]:
    """A name of its own per test; all indices that start with it are dropped afterwards."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    services.drop(name)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the clips and golden tensors that live beside the repository."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("no ../shared folder with clips and golden tensors here")
    return folder


@pytest.fixture
def red(tmp_path: Path) -> Path:
    """A clip of six seconds of red."""
    from vidsearch.testing.clips import solid, write_clip

    return write_clip(
        tmp_path / "red.mp4", [i / 10 for i in range(60)], picture=solid((255, 0, 0)), rate=10
    )
