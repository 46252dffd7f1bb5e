"""Real nodes behind TLS that checks who asks: it works when right, and says what is wrong."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import AsyncElasticsearch, Elasticsearch
from opensearchpy import AsyncOpenSearch, OpenSearch
from tests.certificates import Authority
from tests.search_index import TableEncoder, create_index, make_videos
from tests.services import NODES, RunningServices
from tests.tls_proxy import Proxy, tls_proxy

from vidsearch.config import EngineSettings, load_settings
from vidsearch.engines import Engine, Write, connect, connect_async
from vidsearch.errors import BackendAccessDeniedError, BackendUnavailableError, VidsearchError
from vidsearch.local import SearchNode
from vidsearch.search import AsyncVideoSearch, VideoSearch
from vidsearch_tasks import Services

pytestmark = pytest.mark.integration

USER, PASSWORD = "reader", "hunter2-päss"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
API_KEY = base64.b64encode(b"id:hunter2-key").decode()
QUERY = "a red circle at night"


@pytest.fixture(scope="module", params=list(NODES))
def node(request: pytest.FixtureRequest, services: RunningServices) -> SearchNode:
    return services.node(request.param)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> tuple[Path, Path]:
    return authority.issue("server")


def settings(proxy: Proxy, node: SearchNode, authority: Authority, **more: Any) -> EngineSettings:
    given = {
        "url": proxy.url,
        "kind": node.kind,
        "ca_certs": authority.ca,
        "username": USER,
        "password": PASSWORD,
        **more,
    }
    return EngineSettings(**given)


def failure(settings: EngineSettings) -> VidsearchError:
    """Of the engine, which the engine of an event loop fails with alike."""
    engine = connect(settings)
    with pytest.raises(VidsearchError) as raised:
        engine.count("videos")
    engine.close()

    async def twin() -> VidsearchError:
        engine = await connect_async(settings)
        with pytest.raises(VidsearchError) as raised:
            await engine.run(engine.calls.indices_of("videos"))
        await engine.close()
        return raised.value

    other = asyncio.run(twin())
    assert type(other) is type(raised.value)
    # The libraries word a host that differs each in its own way; what to do is the same.
    assert str(other).rpartition(". ")[2] == str(raised.value).rpartition(". ")[2]
    assert "hunter2" not in f"{raised.value!r} {other!r} {engine!r}"
    return raised.value


def use(engine: Engine, index: str) -> None:
    create_index(engine, index, make_videos(8))
    found = VideoSearch(engine, TableEncoder(), index=index).search(QUERY, k=3)
    assert len(found) == 3


# -- who asks


def test_right_password_is_accepted(
    node: SearchNode, authority: Authority, certificate: tuple[Path, Path], index_name: str
) -> None:
    with tls_proxy(node.url, certificate=certificate, authorization=BASIC) as proxy:
        engine = connect(settings(proxy, node, authority, kind="auto"))
        assert engine.kind == node.kind
        use(engine, index_name)
        engine.close()
    assert {status for *_, status in proxy.asked} <= {200, 201, 400, 404, 405}


@pytest.mark.parametrize("wrong", [{"password": "hunter2"}, {"username": None, "password": None}])
def test_wrong_or_missing_password_is_refused(
    node: SearchNode, authority: Authority, certificate: tuple[Path, Path], wrong: Any
) -> None:
    with tls_proxy(node.url, certificate=certificate, authorization=BASIC) as proxy:
        error = failure(settings(proxy, node, authority, **wrong))
    assert type(error) is BackendAccessDeniedError
    assert str(error) == (
        f"{proxy.url} refused the credentials (401): unable to authenticate. "
        "Check engine.api_key, or engine.username and engine.password"
    )
    assert {status for *_, status in proxy.asked} == {401}


def test_api_key_is_accepted(
    elasticsearch_9: SearchNode,
    authority: Authority,
    certificate: tuple[Path, Path],
    index_name: str,
) -> None:
    header = f"ApiKey {API_KEY}"
    nobody = {"username": None, "password": None}
    with tls_proxy(elasticsearch_9.url, certificate=certificate, authorization=header) as proxy:
        right = settings(proxy, elasticsearch_9, authority, api_key=API_KEY, **nobody)
        engine = connect(right)
        use(engine, index_name)
        engine.close()
        wrong = settings(proxy, elasticsearch_9, authority, api_key="aHVudGVyMg==", **nobody)
        assert isinstance(failure(wrong), BackendAccessDeniedError)


def test_client_certificate_is_accepted(
    node: SearchNode, authority: Authority, certificate: tuple[Path, Path], index_name: str
) -> None:
    mine = authority.issue("client")
    stranger = Authority(mine[0].parent, "stranger").issue("stranger-client")
    with tls_proxy(node.url, certificate=certificate, clients=authority.ca) as proxy:
        pair = {"client_cert": mine[0], "client_key": mine[1]}
        engine = connect(settings(proxy, node, authority, **pair))
        use(engine, index_name)
        engine.close()

        async def twin() -> None:
            engine = await connect_async(settings(proxy, node, authority, **pair))
            assert await engine.run(engine.calls.indices_of(index_name)) == (index_name,)
            await engine.close()

        asyncio.run(twin())
        other = {"client_cert": stranger[0], "client_key": stranger[1]}
        for wrong in ({}, other):
            engine = connect(settings(proxy, node, authority, **wrong))
            with pytest.raises(BackendUnavailableError) as raised:
                engine.count(index_name)
            assert "Set engine.client_cert and engine.client_key" in str(raised.value)
            engine.close()


# -- TLS that does not fit


def test_certificate_for_another_host_is_refused(
    node: SearchNode, authority: Authority, certificate: tuple[Path, Path]
) -> None:
    stranger = Authority(certificate[0].parent, "another").ca
    expired = authority.issue("expired", days=-1)
    elsewhere = authority.issue("elsewhere", host="elsewhere.example")
    for served, trusted, reason in (
        (
            certificate,
            stranger,
            (
                "unable to get local issuer certificate. "
                "Set engine.ca_certs to the CA bundle that signed it"
            ),
        ),
        (expired, authority.ca, "certificate has expired. It must be renewed at the cluster"),
        (
            elsewhere,
            authority.ca,
            ". Set engine.url to a name that the certificate is for",
        ),
    ):
        with tls_proxy(node.url, certificate=served) as proxy:
            error = failure(settings(proxy, node, authority, ca_certs=trusted))
        assert type(error) is BackendUnavailableError
        said = str(error)
        assert said.startswith(f"the TLS certificate of {proxy.url} is not trusted: ")
        assert reason in said

        assert proxy.asked == []  # the password went nowhere


def test_https_to_a_plain_port_is_reported(node: SearchNode, authority: Authority) -> None:
    url = node.url.replace("http://", "https://")
    error = failure(settings(Proxy(url), node, authority))
    assert type(error) is BackendUnavailableError
    assert str(error) == f"{url} does not speak TLS; does engine.url have to begin with http://?"


def test_http_to_a_tls_port_is_reported(
    node: SearchNode, authority: Authority, certificate: tuple[Path, Path]
) -> None:
    with tls_proxy(node.url, certificate=certificate) as proxy:
        url = proxy.url.replace("https://", "http://")
        engine = connect(settings(Proxy(url), node, authority))
        with pytest.raises(BackendUnavailableError, match=r"engine.url must begin with https://$"):
            engine.count("videos")
        engine.close()


# -- a role that may only read


def test_search_needs_read_rights_only(
    node: SearchNode, authority: Authority, certificate: tuple[Path, Path], index_name: str
) -> None:
    plain = connect(EngineSettings(url=node.url, kind=node.kind))
    create_index(plain, f"{index_name}-1", make_videos(8), alias=index_name)
    expected = VideoSearch(plain, TableEncoder(), index=index_name).search(QUERY, k=5)
    plain.close()

    def reads(method: str, path: str) -> bool:
        ends = ("/_msearch", "/_search", "/_count", "/_mapping", "/_alias")
        return path.startswith(f"/{index_name}") and path.endswith(ends) and method != "PUT"

    with tls_proxy(node.url, certificate=certificate, authorization=BASIC, allows=reads) as proxy:
        engine = connect(settings(proxy, node, authority))
        search = VideoSearch(engine, TableEncoder(), index=index_name)
        for mode in ("hybrid", "vector", "keyword"):
            assert len(search.search(QUERY, k=5, mode=mode, filter={"tags": "odd"})) > 0
        assert search.search(QUERY, k=5).hits == expected.hits
        assert engine.features().licence is None
        with pytest.raises(
            BackendAccessDeniedError, match=r"refused the request \(403\): no right to POST"
        ):
            engine.bulk(index_name, [Write("index", "new", {"title": "x"})])
        engine.close()
        with pytest.raises(
            BackendAccessDeniedError, match=r"If they may not ask .* set engine.kind$"
        ):
            connect(settings(proxy, node, authority, kind="auto"))
    assert ("GET", "/", 403) in proxy.asked  # it was asked for, and done without


# -- a client of the host's


def test_clients_of_the_application_keep_their_tls_and_credentials(
    node: SearchNode, authority: Authority, certificate: tuple[Path, Path], index_name: str
) -> None:
    plain = connect(EngineSettings(url=node.url, kind=node.kind))
    create_index(plain, index_name, make_videos(8))
    plain.close()
    tls = {"ca_certs": str(authority.ca)}
    # Its own header: neither library takes a password beyond Latin-1 or ASCII by itself.
    header = {"authorization": BASIC}
    with tls_proxy(node.url, certificate=certificate, authorization=BASIC) as proxy:
        client: Any = (
            Elasticsearch(proxy.url, headers=header, **tls)
            if node.kind == "elasticsearch"
            else OpenSearch([proxy.url], headers=header, **tls)
        )
        engine = connect(EngineSettings(url="http://elsewhere:1"), client=client)
        found = VideoSearch(engine, TableEncoder(), index=index_name).search(QUERY, k=3)
        client.close()

        async def twin() -> Any:
            client: Any = (
                AsyncElasticsearch(proxy.url, headers=header, **tls)
                if node.kind == "elasticsearch"
                else AsyncOpenSearch([proxy.url], headers=header, **tls)
            )
            engine = await connect_async(EngineSettings(), client=client)
            search = AsyncVideoSearch(engine, TableEncoder(), index=index_name)
            try:
                return await search.search(QUERY, k=3)
            finally:
                await client.close()

        assert asyncio.run(twin()).hits == found.hits
    assert len(found) == 3


# -- the whole way, with credentials from the environment only


def cli(env: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vidsearch.cli", *args],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(  # it takes its time
    "node", ["es-9.5.3", pytest.param("os-2.19.1", marks=pytest.mark.drill)], indirect=True
)
def test_settings_from_the_environment_work_over_tls(
    node: SearchNode,
    authority: Authority,
    certificate: tuple[Path, Path],
    index_name: str,
    red: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with tls_proxy(node.url, certificate=certificate, authorization=BASIC) as proxy:
        env = {
            "VIDSEARCH_ENGINE__URL": proxy.url,
            "VIDSEARCH_ENGINE__USERNAME": USER,
            "VIDSEARCH_ENGINE__PASSWORD": PASSWORD,
            "VIDSEARCH_ENGINE__CA_CERTS": str(authority.ca),
            "VIDSEARCH_INDEX__NAME": index_name,
            "VIDSEARCH_INDEX__REPLICAS": "0",
            "VIDSEARCH_MODEL__NAME": "demo",
            "VIDSEARCH_BROKER__URL": "redis://127.0.0.1:1/0",
        }
        made = cli(env, "index", "create")
        assert made.returncode == 0, made.stderr

        for name, value in env.items():
            monkeypatch.setenv(name, value)
        services = Services(load_settings())
        services.registry.register("clip", uri=str(red), fields={"title": "Harbour"})
        services.indexer.ingest("clip", owner="test")
        services.engine.refresh(index_name)
        services.close()

        found = cli(env, "search", "harbour", "--json")
        assert found.returncode == 0, found.stderr
        assert [hit["id"] for hit in json.loads(found.stdout)["hits"]] == ["clip"]

        wrong = env | {"VIDSEARCH_ENGINE__PASSWORD": "hunter2-wrong"}
        checked = cli(wrong, "check", "--json")
        rows = {row["part"]: row for row in json.loads(checked.stdout)}
        assert checked.returncode == 1
        assert not rows["engine"]["ok"]
        assert "refused the credentials (401)" in rows["engine"]["detail"]
        refused = cli(wrong, "-v", "search", "harbour")
        assert refused.returncode == 1
        assert "refused the credentials (401)" in refused.stderr
        for done in (made, found, checked, refused):
            assert "hunter2" not in done.stdout + done.stderr
