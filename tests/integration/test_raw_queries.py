"""The requests of docs/raw-queries.md, sent as they stand, find what ``VideoSearch`` finds."""

from __future__ import annotations

import json
import re
import uuid
from collections import defaultdict
from collections.abc import Iterator
from string import Template
from typing import Any

import httpx
import pytest
from tests.docs_pages import PAGES
from tests.search_index import TableEncoder, make_videos
from tests.services import WHOLE_WAYS, RunningServices

from vidsearch.config import IndexSettings, SearchSettings
from vidsearch.engines import Engine, Write
from vidsearch.index import create_videos_index
from vidsearch.search import VideoSearch
from vidsearch_mappings.stop_words import stop_words, without_stop_words

pytestmark = [
    pytest.mark.integration,
    pytest.mark.parametrize("search_node", WHOLE_WAYS, indirect=True, scope="session"),
]

TEXT = "a red circle at night"
_BLOCK = re.compile(
    r"^<!-- request: (\w+) (\w+) -->\n```\n"
    r'curl -s "\$ENGINE(/videos/\S+)" -H \'Content-Type: (\S+)\' --data-binary @- <<END\n'
    r"(.*?)\nEND\n```$",
    re.DOTALL | re.MULTILINE,
)
REQUESTS = {
    (kind, name): rest for kind, name, *rest in _BLOCK.findall(PAGES["docs/raw-queries.md"])
}


class Client:
    """A program without vidsearch: it knows the page and plain HTTP."""

    def __init__(self, engine: Engine, index: str, url: str) -> None:
        self.kind, self.index, self.url = engine.kind, index, url
        words = without_stop_words(TEXT, stop_words(SearchSettings().stop_words))
        self.variables = {
            "VECTOR": json.dumps(TableEncoder().encode_text([TEXT])[0].tolist()),
            "TEXT": TEXT,
            "WORDS": words,
        }

    def body(self, name: str, **variables: str) -> str:
        """With the variables filled in, as the shell does."""
        return Template(REQUESTS[self.kind, name][2]).substitute(self.variables, **variables)

    def ask(self, name: str, **variables: str) -> Any:
        return self.send(name, self.body(name, **variables) + "\n")

    def send(self, name: str, content: str) -> Any:
        path, content_type, _ = REQUESTS[self.kind, name]
        answer = httpx.post(
            self.url + path.replace("/videos/", f"/{self.index}/", 1),
            content=content,
            headers={"Content-Type": content_type},
            trust_env=False,
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def search(shared_engine: Engine, services: RunningServices) -> Iterator[VideoSearch]:
    """Over an index as `vidsearch index create` makes it, without texts beyond those it maps."""
    name = f"test-raw-{uuid.uuid4().hex[:8]}"
    create_videos_index(shared_engine, IndexSettings(name=name), TableEncoder().identity)
    writes = []
    for video in make_videos():
        document = video.document("video")
        document.pop("licence", None)
        writes.append(Write("index", video.id, document))
    shared_engine.bulk(name, writes, refresh=True)
    yield VideoSearch(shared_engine, TableEncoder(), index=name)
    services.drop(name)


@pytest.fixture
def client(search: VideoSearch, shared_engine: Engine) -> Client:
    return Client(shared_engine, search.search(TEXT, k=1).index, shared_engine.info().url)


def cosine_of(hit: Any, kind: str) -> float:
    """As the page says it."""
    score: float = hit["_score"]
    return 1 - 0.5 / score if kind == "opensearch" and score < 0.5 else 2 * score - 1


def ids(response: Any) -> list[str]:
    return [hit["_id"] for hit in response["hits"]["hits"]]


def fused(responses: list[Any]) -> list[str]:
    """By rank, as the page says it."""
    scores: defaultdict[str, float] = defaultdict(float)
    for response in responses:
        hits = [(-hit["_score"], hit["_id"]) for hit in response["hits"]["hits"]]
        for rank, (_, id) in enumerate(sorted(hits), start=1):
            scores[id] += 1 / (60 + rank)
    return sorted(scores, key=lambda id: (-scores[id], id))


def test_every_block_is_a_request_that_is_sent(client: Client) -> None:
    assert PAGES["docs/raw-queries.md"].count("\ncurl ") == len(REQUESTS)
    assert {name for kind, name in REQUESTS if kind == client.kind} == {
        *("videos", "segments", "legs", "page", "fused")
    }


@pytest.mark.parametrize(("name", "level"), [("videos", "video"), ("segments", "segment")])
def test_nearest_videos_are_those_of_a_vector_search(
    client: Client, search: VideoSearch, name: str, level: Any
) -> None:
    expected = search.search(TEXT, mode="vector", level=level, k=10)
    answer = client.ask(name)
    assert ids(answer) == [hit.id for hit in expected]
    cosines = [cosine_of(hit, client.kind) for hit in answer["hits"]["hits"]]
    assert cosines == pytest.approx([hit.cosine for hit in expected], abs=1e-5)
    body = search.body(TEXT, mode="vector", level=level, k=10)["vector"]
    assert json.loads(client.body(name)) == body
    if level == "segment":
        for hit, other in zip(answer["hits"]["hits"], expected, strict=True):
            first = hit["inner_hits"]["moments"]["hits"]["hits"][0]
            fields, best = first["fields"], other.moments[0]
            if client.kind == "elasticsearch":
                (segment,) = fields["video.segments"]
                start, end = segment["start"], segment["end"]
            else:
                start, end = fields["video.segments.start"], fields["video.segments.end"]
            assert best.start <= start[0] < end[0] <= best.end
            assert cosine_of(first, client.kind) == pytest.approx(best.cosine, abs=1e-5)


@pytest.mark.parametrize(("name", "level"), [("videos", "video"), ("segments", "segment")])
def test_cosines_below_zero_follow_from_the_score_as_well(
    client: Client, name: str, level: str
) -> None:
    vector = TableEncoder().encode_text([TEXT])[0]
    videos = {video.id: video for video in make_videos()}
    every = json.loads(client.body(name)) | {"size": len(videos)}
    found = []
    for hit in client.send(name, json.dumps(every))["hits"]["hits"]:
        found.append(cosine_of(hit, client.kind))
        video = videos[hit["_id"]]
        # Which of nearly equal segments counts as the best one may be decided by rough vectors.
        compared = video.mean[None] if level == "video" else video.segments
        assert abs(compared @ vector - found[-1]).min() < 1e-5
    assert min(found) < -0.05


def test_legs_fused_by_rank_are_a_hybrid_search(client: Client, search: VideoSearch) -> None:
    expected = search.search(TEXT, k=10)
    found = fused(client.ask("legs")["responses"])[:10]
    assert found == [hit.id for hit in expected]
    hits = client.ask("page", IDS=json.dumps(found))["hits"]["hits"]
    assert sorted(hit["_id"] for hit in hits) == sorted(found)
    titles = {hit["_id"]: hit["_source"]["title"] for hit in hits}
    assert titles == {hit.id: hit.fields["title"] for hit in expected}
    assert all(hit["inner_hits"]["moments"]["hits"]["hits"] for hit in hits)
    assert "segments" not in hits[0]["_source"]["video"]


def test_one_request_of_both_legs_is_the_fusion_of_the_engine(
    client: Client, search: VideoSearch
) -> None:
    fusion = "sum" if client.kind == "elasticsearch" else "native_rrf"
    expected = [hit.id for hit in search.search(TEXT, k=10, fusion=fusion)]
    hits = client.ask("fused")["hits"]["hits"]
    ranked = sorted(hits, key=lambda hit: (-hit["_score"], hit["_id"]))
    assert [hit["_id"] for hit in ranked] == expected
    body = search.body(TEXT, k=10, fusion=fusion)["fused"]
    assert json.loads(client.body("fused")) == body
