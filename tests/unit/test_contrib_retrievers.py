"""The retrievers for LangChain, Haystack and LlamaIndex: a document per moment."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from haystack import Pipeline
from langchain_core.documents import Document
from llama_index.core.schema import MetadataMode, QueryBundle
from PIL import Image
from tests.search_index import TableEncoder, create_index, make_videos

from vidsearch.contrib import haystack, langchain, llamaindex
from vidsearch.contrib.passages import Passage, PassageSearch, passages_of
from vidsearch.errors import IndexNotFoundError, QueryError
from vidsearch.search import VideoSearch
from vidsearch.testing.clips import solid, write_clip
from vidsearch.testing.in_process import videos_in_process
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_tasks import register_video

QUERY = "red circle"


@pytest.fixture(scope="module")
def videos() -> VideoSearch:
    engine = MemoryEngine()
    create_index(engine, "videos-000001", make_videos(20), alias="videos")
    return VideoSearch(engine, TableEncoder())


def test_a_passage_is_a_moment_with_the_fields_of_its_video(videos: VideoSearch) -> None:
    hit = videos.search(QUERY, k=1).hits[0]
    found = PassageSearch(videos).find(QUERY, k=2)
    moment = hit.moments[0]
    assert found[0] == Passage(
        id=f"{hit.id}#t={moment.start:.1f},{moment.end:.1f}",
        text=f"{hit.fields['title']}\n{hit.fields['description']}",
        score=hit.score,
        metadata={
            **{name: value for name, value in hit.fields.items() if name != "video"},
            "video_id": hit.id,
            "passage_id": found[0].id,
            "uri": f"file:///videos/{hit.id}.mp4",
            "start": moment.start,
            "end": moment.end,
            "cosine": moment.cosine,
            "score": hit.score,
            "thumbnail": moment.thumbnail,
        },
    )
    assert json.loads(json.dumps(found[0].metadata)) == found[0].metadata


def test_passages_are_in_the_order_of_hits_and_moments_and_at_most_k(videos: VideoSearch) -> None:
    wanted = [
        (hit.id, moment.start)
        for hit in videos.search(QUERY, k=7, moments=2)
        for moment in hit.moments
    ]
    found = PassageSearch(videos, moments=2).find(QUERY, k=7)
    assert [(one.metadata["video_id"], one.metadata["start"]) for one in found] == wanted[:7]
    assert len({one.id for one in found}) == 7


def test_a_video_found_by_its_words_alone_is_one_passage_without_times(
    videos: VideoSearch,
) -> None:
    (one, *_) = PassageSearch(videos, options={"mode": "keyword"}).find("river", k=1)
    assert one.id == one.metadata["video_id"]
    assert (one.metadata["start"], one.metadata["end"]) == (None, None)
    assert "river" in one.text


def test_text_is_of_the_named_fields_or_else_the_id(videos: VideoSearch) -> None:
    result = videos.search(QUERY, k=1, moments=1)
    hit = result.hits[0]
    (tags,) = passages_of(result, text_fields=("tags", "absent"))
    (nothing,) = passages_of(result, text_fields=("year",))
    assert (tags.text, nothing.text) == (", ".join(hit.fields["tags"]), hit.id)


@pytest.mark.parametrize("module", [langchain, haystack, llamaindex])
def test_options_reach_the_search(videos: VideoSearch, module: Any) -> None:
    wanted = {one.metadata["video_id"] for one in PassageSearch(videos).find(QUERY, k=50)}
    retriever = module.VideoRetriever(videos=videos, search_options={"filter": {"tags": "odd"}})
    found = _metadata(retriever, QUERY)
    assert found
    assert {one["video_id"] for one in found} < wanted
    assert all("odd" in one["tags"] for one in found)


@pytest.mark.parametrize("module", [langchain, haystack, llamaindex])
def test_an_option_that_the_retriever_sets_is_refused_at_once(
    videos: VideoSearch, module: Any
) -> None:
    with pytest.raises(QueryError, match="'moments' is set by the retriever"):
        module.VideoRetriever(videos=videos, search_options={"moments": 2})
    with pytest.raises(QueryError, match="at least 1 moment per video, not 0"):
        module.VideoRetriever(videos=videos, moments=0)


@pytest.mark.parametrize("module", [haystack, llamaindex])
def test_one_name_for_the_text_is_refused_as_its_letters_are_no_fields(
    videos: VideoSearch, module: Any
) -> None:
    with pytest.raises(QueryError, match=r"must be a list of names, such as \['title'\]"):
        module.VideoRetriever(videos=videos, text_fields="title")


@pytest.mark.parametrize("module", [langchain, haystack, llamaindex])
def test_errors_of_a_search_come_through(module: Any) -> None:
    retriever = module.VideoRetriever(videos=VideoSearch(MemoryEngine(), TableEncoder()))
    with pytest.raises(IndexNotFoundError):
        _metadata(retriever, QUERY)
    with pytest.raises(QueryError, match="text is empty"):
        _metadata(retriever, " ")


def _metadata(retriever: Any, query: str) -> list[dict[str, Any]]:
    if isinstance(retriever, langchain.VideoRetriever):
        return [one.metadata for one in retriever.invoke(query)]
    if isinstance(retriever, llamaindex.VideoRetriever):
        return [one.metadata for one in retriever.retrieve(query)]
    return [one.meta for one in retriever.run(query)["documents"]]


def test_langchain_documents_hold_the_passages(videos: VideoSearch) -> None:
    retriever = langchain.VideoRetriever(videos=videos, k=4, moments=2, text_fields=["title"])
    wanted = PassageSearch(videos, moments=2, text_fields=["title"]).find(QUERY, k=4)
    documents = [Document(id=p.id, page_content=p.text, metadata=p.metadata) for p in wanted]
    assert retriever.invoke(QUERY) == documents
    assert asyncio.run(retriever.ainvoke(QUERY)) == documents
    assert retriever.invoke(QUERY, k=1) == documents[:1]
    assert (retriever | len).invoke(QUERY) == 4, "it is a part of a chain"


def _with_new_options(how: str, retriever: Any, options: dict[str, Any]) -> Any:
    if how == "copy":
        return retriever.model_copy(update={"search_options": options})
    if how == "set":
        retriever.search_options = options
    else:
        retriever.search_options.update(options)
    return retriever


@pytest.mark.parametrize("how", ["set", "copy", "change"])
@pytest.mark.parametrize("given", [True, False])
def test_langchain_searches_with_the_filter_that_was_set_last(
    videos: VideoSearch, monkeypatch: pytest.MonkeyPatch, how: str, given: bool
) -> None:
    opened: list[Any] = []
    monkeypatch.setattr(VideoSearch, "from_settings", lambda _: opened.append(videos) or opened[0])
    first = langchain.VideoRetriever(
        videos=videos if given else None, k=50, search_options={"filter": {"tags": "odd"}}
    )
    assert all("odd" in one.metadata["tags"] for one in first.invoke(QUERY))
    changed = _with_new_options(how, first, {"filter": {"tags": "even"}})
    for found in (changed.invoke(QUERY), asyncio.run(changed.ainvoke(QUERY))):
        assert found
        assert not any("odd" in one.metadata["tags"] for one in found)
    if how == "copy":
        assert all("odd" in one.metadata["tags"] for one in first.invoke(QUERY))
    assert len(opened) == (0 if given else 1), "what is opened is kept"


def test_langchain_searches_with_all_fields_that_were_set_last(videos: VideoSearch) -> None:
    retriever = langchain.VideoRetriever(videos=VideoSearch(MemoryEngine(), TableEncoder()))
    retriever.videos, retriever.k = videos, 9
    retriever.moments, retriever.text_fields = 1, ["tags"]
    wanted = PassageSearch(videos, moments=1, text_fields=["tags"]).find(QUERY, k=9)
    assert [one.page_content for one in retriever.invoke(QUERY)] == [one.text for one in wanted]
    assert [one.id for one in retriever.invoke(QUERY)] == [one.id for one in wanted]
    retriever.search_options = {"moments": 2}
    with pytest.raises(QueryError, match="'moments' is set by the retriever"):
        retriever.invoke(QUERY)


def test_options_of_a_call_go_before_those_of_the_retriever(videos: VideoSearch) -> None:
    options = {"filter": {"tags": "odd"}, "mode": "keyword"}
    other = {"mode": "vector"}
    wanted = PassageSearch(videos, options=options | other).find(QUERY, k=5)
    ids = [one.id for one in wanted]
    assert ids
    of_langchain = langchain.VideoRetriever(videos=videos, k=5, search_options=options)
    of_haystack = haystack.VideoRetriever(videos, top_k=5, search_options=options)
    assert [one.id for one in of_langchain.invoke(QUERY, **other)] == ids
    assert [one.id for one in asyncio.run(of_langchain.ainvoke(QUERY, **other))] == ids
    batches = of_langchain.batch([QUERY, QUERY], **other)
    assert [[one.id for one in batch] for batch in batches] == [ids, ids]
    for done in (
        of_haystack.run(QUERY, search_options=other),
        asyncio.run(of_haystack.run_async(QUERY, search_options=other)),
    ):
        assert [one.id for one in done["documents"]] == ids
    assert [one.id for one in of_langchain.invoke(QUERY)] != ids, "for one call only"
    with pytest.raises(QueryError, match="'moments' is set by the retriever"):
        of_langchain.invoke(QUERY, moments=1)
    with pytest.raises(QueryError, match="no argument 'limit'"):
        of_haystack.run(QUERY, search_options={"limit": 1})


@pytest.mark.parametrize(
    "filter", [{"tags": "even"}, [{"term": {"tags": "even"}}], {"match_all": {}}, {}, None]
)
def test_no_filter_of_a_call_widens_that_of_the_retriever(videos: VideoSearch, filter: Any) -> None:
    options = {"filter": {"tags": "odd"}}
    of_langchain = langchain.VideoRetriever(videos=videos, k=50, search_options=options)
    of_haystack = haystack.VideoRetriever(videos, top_k=50, search_options=options)
    found = [one.metadata["tags"] for one in of_langchain.invoke(QUERY, filter=filter)]
    asked = of_haystack.run(QUERY, search_options={"filter": filter})
    assert [one.meta["tags"] for one in asked["documents"]] == found
    assert bool(found) is ("even" not in str(filter)), "no video is both"
    assert all("odd" in tags for tags in found)


def test_a_filter_of_a_call_narrows_that_of_the_retriever(videos: VideoSearch) -> None:
    retriever = langchain.VideoRetriever(
        videos=videos, k=50, search_options={"filter": [{"tags": "odd"}]}
    )
    years = sorted(one.metadata["year"] for one in retriever.invoke(QUERY))
    found = retriever.invoke(QUERY, filter={"year": {"gte": years[-1]}})
    assert [one.metadata["year"] for one in found] == [y for y in years if y == years[-1]]
    assert years[0] < years[-1]
    with pytest.raises(QueryError, match="must be a dict, not 'even'"):
        retriever.invoke(QUERY, filter="even")


def test_llamaindex_searches_by_the_image_of_a_query(tmp_path: Path) -> None:
    with videos_in_process() as running:
        for colour, rgb in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
            clip = write_clip(tmp_path / f"{colour}.mp4", [0, 0.5], picture=solid(rgb), rate=2)
            register_video(colour, uri=str(clip), fields={"title": "a clip"})
        Image.fromarray(solid((0, 0, 255))(0)).save(tmp_path / "blue.png")
        found = VideoSearch.from_settings(
            running.settings, engine=running.engine, encoder=running.encoders
        )
        retriever = llamaindex.VideoRetriever(found)
        assert retriever.retrieve(QueryBundle("blue", image_path="")), "it names no image"
        for text in ("", "clip"):
            asked = QueryBundle(text, image_path=str(tmp_path / "blue.png"), embedding=[0.5])
            nodes = retriever.retrieve(asked)
            assert [node.metadata["video_id"] for node in nodes] == ["blue", "red"]
            assert asyncio.run(retriever.aretrieve(asked)) == nodes


def test_llamaindex_nodes_hold_the_passages(videos: VideoSearch) -> None:
    retriever = llamaindex.VideoRetriever(videos, k=4)
    wanted = PassageSearch(videos).find(QUERY, k=4)
    nodes = retriever.retrieve(QUERY)
    assert [(n.node_id, n.text, n.metadata, n.score) for n in nodes] == [
        (p.id, p.text, p.metadata, p.score) for p in wanted
    ]
    assert asyncio.run(retriever.aretrieve(QUERY)) == nodes
    for mode in (MetadataMode.LLM, MetadataMode.EMBED):
        told = nodes[0].get_content(mode)
        assert "start: " in told
        assert "file:///" not in told, "a path of a machine is nothing for a prompt"


def test_haystack_documents_hold_the_passages(videos: VideoSearch) -> None:
    component = haystack.VideoRetriever(videos, top_k=4)
    wanted = PassageSearch(videos).find(QUERY, k=4)
    done = component.run(QUERY)
    assert [(d.id, d.content, d.meta, d.score) for d in done["documents"]] == [
        (p.id, p.text, p.metadata, p.score) for p in wanted
    ]
    assert asyncio.run(component.run_async(QUERY)) == done
    assert component.run(QUERY, top_k=1)["documents"] == done["documents"][:1]


def test_haystack_pipeline_runs_it_and_is_loaded_again(videos: VideoSearch) -> None:
    pipeline = Pipeline()
    options = {"mode": "vector", "filter": {"year": {"gte": 2005}}}
    component = haystack.VideoRetriever(videos, top_k=2, moments=1, search_options=options)
    pipeline.add_component("videos", component)
    assert len(pipeline.run({"videos": {"query": QUERY}})["videos"]["documents"]) == 2

    saved = pipeline.dumps()
    assert "http" not in saved, "no URL and no password is saved"
    loaded = Pipeline.loads(saved, allowed_modules=["vidsearch.*"]).get_component("videos")
    assert loaded.to_dict() == component.to_dict()
    assert component.to_dict() == {
        "type": "vidsearch.contrib.haystack.VideoRetriever",
        "init_parameters": {
            "top_k": 2,
            "moments": 1,
            "text_fields": ["title", "description"],
            "search_options": options,
        },
    }


def test_haystack_saves_the_options_that_it_searches_with(videos: VideoSearch) -> None:
    given = {"filter": {"tags": "odd"}}
    component = haystack.VideoRetriever(videos, top_k=50, search_options=given)
    for changed in (given, component.to_dict()["init_parameters"]["search_options"]):
        changed["filter"]["tags"] = "even"
        saved = component.to_dict()["init_parameters"]["search_options"]
        assert saved == {"filter": {"tags": "odd"}}
        assert all("odd" in one["tags"] for one in _metadata(component, QUERY))


def test_retrievers_without_videos_search_by_the_settings(
    videos: VideoSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []

    def from_settings(settings: Any) -> VideoSearch:
        made.append(settings.index.name)
        return videos

    monkeypatch.setattr(VideoSearch, "from_settings", from_settings)
    monkeypatch.setenv("VIDSEARCH_INDEX__NAME", "films")
    retrievers: list[Callable[[], Any]] = [
        langchain.VideoRetriever,
        haystack.VideoRetriever,
        llamaindex.VideoRetriever,
    ]
    for make in retrievers:
        retriever = make()
        assert made == [], "nothing is opened before it is needed"
        assert _metadata(retriever, QUERY) == _metadata(retriever, QUERY)
        assert made == ["films"], "and then once"
        made.clear()


def test_a_missing_extra_is_told_with_the_command_that_installs_it() -> None:
    parts = {
        "langchain": "langchain_core",
        "haystack": "haystack",
        "llamaindex": "llama_index",
        "django.apps": "django",
    }
    code = (
        "import sys, importlib\n"
        "from vidsearch.errors import MissingExtraError\n"
        f"for part, missing in {parts}.items():\n"
        "    sys.modules[missing] = None\n"
        "    try: importlib.import_module(f'vidsearch.contrib.{part}')\n"
        "    except MissingExtraError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    told = [line.partition(" needs an extra: ")[2] for line in done.stdout.splitlines()]
    extras = ("langchain", "haystack", "llamaindex", "django")
    assert told == [f"pip install 'vidsearch[{extra}]'" for extra in extras]


def test_telemetry_of_the_frameworks_is_off_in_tests() -> None:
    from haystack.telemetry import _telemetry
    from langsmith.utils import tracing_is_enabled

    assert _telemetry.telemetry is None
    assert not tracing_is_enabled()
