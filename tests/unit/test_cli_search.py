"""``vidsearch search``: what a person and a pipe see."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from tests.http_stub import Reply, http_stub
from tests.search_index import TableEncoder, create_index, make_videos, unit_vectors

from vidsearch.cli import cli, main
from vidsearch.cli.facets import parse_facets
from vidsearch.cli.search import parse_conditions, search
from vidsearch.engines import Write
from vidsearch.errors import QueryError
from vidsearch.search import SearchRequest
from vidsearch.search.timecode import timecode
from vidsearch.testing.memory_engine import MemoryEngine


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> MemoryEngine:
    engine = MemoryEngine()
    create_index(engine, "videos-000001", make_videos(20), alias="videos")
    monkeypatch.setattr("vidsearch.engines.connect", lambda settings, client=None: engine)
    monkeypatch.setattr("vidsearch.encoders.load_encoder", lambda *a, **o: TableEncoder())
    return engine


def run(*args: str) -> Result:
    result = CliRunner().invoke(cli, ["search", *args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def lines(result: Result) -> list[list[str]]:
    return [line.split("\t") for line in result.stdout.splitlines()]


def test_a_pipe_gets_a_table_with_tabs() -> None:
    result = run("red circle", "-k", "20")
    heading, *rows = lines(result)
    assert heading == ["#", "id", "title", "score", "cosine", "moments"]
    assert [row[0] for row in rows] == [str(rank) for rank in range(1, 21)]
    assert "red circle at night" in {row[2] for row in rows}
    assert all("–" in row[5] for row in rows)
    assert result.stderr == ""


def test_explain_shows_each_leg() -> None:
    result = run("red circle", "-k", "15", "--explain")
    heading, *rows = lines(result)
    assert heading[-3:] == ["bm25", "vector rank", "keyword rank"]
    assert {row[-2] for row in rows} >= {"1", "2"}
    assert "-" in {row[-1] for row in rows}
    assert "videos-000001, hybrid, segment level" in result.stderr


def test_explain_of_a_keyword_search_shows_one_leg() -> None:
    heading, row, *_ = lines(run("circle", "--mode", "keyword", "--explain"))
    assert heading[-2:] == ["bm25", "keyword rank"]
    assert row[-1] == "1"
    assert row[4:6] == ["-", "-"]  # neither cosine nor moments


def test_json_option_prints_the_result() -> None:
    answer = json.loads(run("red circle", "-k", "2", "--json").stdout)
    assert len(answer["hits"]) == 2
    assert answer["hits"][0].keys() == {
        *("id", "score", "cosine", "bm25", "rank_per_leg", "fields", "moments"),
        *("highlights", "explanation", "duplicates"),
    }
    assert answer["index"] == "videos-000001"


def test_body_searches_nothing(engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def msearch(*args: Any) -> None:
        raise AssertionError("searched")

    monkeypatch.setattr(engine, "msearch", msearch)
    body = json.loads(run("red circle", "--body", "--mode", "vector", "--level", "video").stdout)
    assert body.keys() == {"vector"}
    assert body["vector"]["knn"]["field"] == "video.vector"


def test_filter_options_restrict_the_hits() -> None:
    result = run("circle", "--filter", "tags=red,blue", "--filter", "year>=2005", "--json")
    hits = json.loads(result.stdout)["hits"]
    assert hits
    for hit in hits:
        assert {"red", "blue"} & set(hit["fields"]["tags"])
        assert hit["fields"]["year"] >= 2005


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["zebra", "--mode", "keyword"], "none has these words; --mode vector compares with what"),
        (
            ["dog", "--mode", "keyword", "--filter", "tags=x"],
            "none that matches --filter has these",
        ),
        (["dog", "--filter", "tags=x"], "none matches --filter."),
        (["zebra", "--min-cosine", "0.9"], "none reaches --min-cosine 0.9, nor has these"),
        (
            ["dog", "--min-cosine", "0.9", "--mode", "vector"],
            "none reaches --min-cosine 0.9;",
        ),
    ],
)
def test_no_hits_print_the_reason(args: list[str], reason: str) -> None:
    result = run(*args)
    assert result.stdout == ""
    assert result.stderr.startswith(f"No videos found: {reason}")
    assert json.loads(run(*args, "--json").stdout)["hits"] == []


def test_no_hits_of_an_empty_index_or_a_late_page_print_the_reason(engine: MemoryEngine) -> None:
    assert run("dog", "--from", "20").stderr == (
        "No videos found beyond the first 20: leave out --from.\n"
    )
    engine.delete_index("videos-000001")
    create_index(engine, "videos-000001", [], alias="videos")
    assert run("dog").stderr == (
        "No videos found; `vidsearch status` shows how many can be searched.\n"
    )


def test_facets_are_a_table_of_their_own() -> None:
    result = run("circle", "--mode", "keyword", "--facet", "tags", "--facet", "year:10", "-k", "2")
    hits, facets = result.stdout.split("\n\n")
    assert len(hits.splitlines()) == 3
    heading, *rows = [line.split("\t") for line in facets.splitlines()]
    assert heading == ["facet", "value", "videos"]
    assert ["tags", "even", "5"] in rows
    assert [row for row in rows if row[0] == "year"] == [
        ["year", "2000", "3"],
        ["year", "2010", "2"],
    ]
    assert result.stderr.startswith("5 videos within the relevance cut.\n")


def test_a_late_page_has_its_facets_all_the_same() -> None:
    result = run("circle", "--mode", "keyword", "--facet", "tags", "--from", "20")
    assert result.stderr.startswith("No videos found beyond the first 20: leave out --from.\n5 vid")
    assert "tags\teven\t5" in result.stdout
    assert run("nothing", "--mode", "keyword", "--facet", "tags").stdout == ""


def test_what_a_facet_does_not_list_is_told() -> None:
    said = run("circle", "--mode", "keyword", "--facet", "licence").stderr
    assert said.endswith("\nlicence: 2 without a value\n")
    answer = json.loads(run("circle", "--facet", "recorded:month", "--json").stdout)
    assert answer["total"] == {"value": 20, "relation": "eq", "reachable": 20}
    (month,) = answer["facets"]["recorded"]["values"]
    assert (month["value"], month["count"]) == ("2020-02", 20)


def test_hits_are_sorted_and_grouped_by_moment() -> None:
    _, *rows = lines(run("circle", "--sort", "-year", "-k", "3"))
    assert [row[1] for row in rows] == ["v19", "v18", "v17"]
    result = run("circle", "--group-by", "moment", "-k", "30")
    assert all(row[5].count("–") == 1 for row in lines(result)[1:])
    assert "moments within the relevance cut" in result.stderr


@pytest.mark.parametrize(
    ("value", "facet"),
    [
        ("tags", {"field": "tags"}),
        ("year:10", {"field": "year", "interval": 10.0}),
        ("recorded:month", {"field": "recorded", "interval": "month"}),
        ("dc:title", {"field": "dc:title"}),
    ],
)
def test_facets_are_parsed(value: str, facet: dict[str, Any]) -> None:
    assert parse_facets([value]) == [facet]


def test_a_truncated_text_gives_a_warning_on_stderr() -> None:
    result = run("dog " * 20, "--json")
    assert result.stderr.startswith("Warning: the text has 22 tokens, the model reads")
    assert json.loads(result.stdout)["warnings"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["  "], "the search text is empty"),
        (["dog", "-k", "0"], "Error: -k must be a whole number from 1 to 100"),
        (["dog", "-k", "101"], "Error: -k must be a whole number from 1 to 100"),
        (["dog", "-k", "many"], "'many' is not a valid integer"),
        (["dog", "--mode", "fuzzy"], "'fuzzy' is not one of"),
        (["dog", "--filter", "colour=red"], "'colour': no such field in the index. Mapped fields:"),
        (["dog", "--filter", "sport"], "--filter 'sport' is no condition: write tags=sport"),
        (["dog", "--min-cosine", "2"], "Error: --min-cosine must be a number between"),
        (
            ["dog", "--from", "-1"],
            "--from must be a whole number from 0 to 90 (the page must lie within search.window)",
        ),
        (["dog", "--filter", '{"foo": {}}'], "--filter on 'foo': no such field in the index, nor"),
        (["dog", "--filter", '{"term": {}}'], "--filter clause 'term' is empty; a clause of the"),
        (["--like", "x"], "--like: no video 'x' in the index; `vidsearch videos show x` tells"),
        (["dog", "--at", "3"], "--at goes with --like"),
        (["--image", "mode=k.png"], "--image: no such file: mode=k.png"),
        (["--vector", __file__], "is neither a .npy file nor a JSON list"),
        (["--like", "v01", "--mode", "hybrid"], "--mode hybrid compares words: give a text, too"),
        (["dog", "--sort", "nope"], "Error: --sort: field 'nope' is not in index"),
        (["dog", "--facet", "tags:month"], "Error: --facet: interval 'month' does not fit field"),
        (
            ["dog", "--group-by", "moment", "--mode", "keyword"],
            "Error: --group-by moment: mode=keyword compares words, which moments lack",
        ),
        ([], "nothing to search for: give a text, or one of image"),
    ],
)
def test_a_wrong_call_exits_with_2(
    capsys: pytest.CaptureFixture[str], args: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["search", *args])
    said = capsys.readouterr()
    assert stop.value.code == 2
    assert message in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


@pytest.mark.parametrize("option", ["--image", "--clip"])
def test_a_url_that_is_not_found_exits_with_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setenv("VIDSEARCH_SOURCES__PRIVATE_HOSTS", '["127.0.0.1"]')
    with http_stub(lambda asked: Reply(404)) as server, pytest.raises(SystemExit, match="2"):
        main(["search", option, f"{server.url}/a.b"])
    assert capsys.readouterr().err == f"Error: {option}: {server.url}/a.b was not found (404)\n"
    with pytest.raises(SystemExit, match="1"):
        main(["search", option, "http://127.0.0.1:1/a.b"])
    assert f"Error: {option}: http://127.0.0.1:1/a.b cannot be" in capsys.readouterr().err


def test_a_missing_index_exits_with_1(
    capsys: pytest.CaptureFixture[str], engine: MemoryEngine
) -> None:
    engine.delete_index("videos-000001")
    with pytest.raises(SystemExit) as stop:
        main(["search", "dog"])
    assert stop.value.code == 1
    assert "no index or alias 'videos'" in capsys.readouterr().err


def test_another_model_exits_with_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "vidsearch.encoders.load_encoder", lambda *a, **o: TableEncoder(revision="2")
    )
    with pytest.raises(SystemExit) as stop:
        main(["search", "dog"])
    assert stop.value.code == 1
    assert "table@1" in (said := capsys.readouterr().err)
    assert "table@2" in said


@pytest.mark.parametrize(
    ("condition", "parsed"),
    [
        ("tags=sport", {"tags": "sport"}),
        (" tags = sport ", {"tags": "sport"}),
        ("tags=a,b, c", {"tags": ["a", "b", "c"]}),
        ("title=a=b", {"title": "a=b"}),
        ("tags==sport", {"tags": "sport"}),
        ("tags == a, b", {"tags": ["a", "b"]}),
        ("year>=2020", {"year": {"gte": "2020"}}),
        ("year<=2020", {"year": {"lte": "2020"}}),
        ("year>2020", {"year": {"gt": "2020"}}),
        ("video.duration < 3.5", {"video.duration": {"lt": "3.5"}}),
        ('{"match": {"title": "dog"}}', {"match": {"title": "dog"}}),
    ],
)
def test_conditions_are_parsed(condition: str, parsed: dict[str, Any]) -> None:
    assert parse_conditions([condition]) == [parsed]


@pytest.mark.parametrize(
    "condition", ["", "tags", "=a", "!=a", "tags=", "tags==", "tags!", "tags=,", '{"match": ']
)
def test_a_wrong_condition_is_refused(condition: str) -> None:
    with pytest.raises(QueryError, match="--filter"):
        parse_conditions([condition])


@pytest.mark.parametrize("condition", ["tags!=a,b", "tags != a, b", "tags!==a,b"])
def test_a_condition_on_what_is_not_wanted_is_told_as_a_clause(condition: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_conditions([condition])
    clause = str(caught.value).partition("a JSON clause, ")[2]
    assert parse_conditions([clause]) == [{"bool": {"must_not": {"terms": {"tags": ["a", "b"]}}}}]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (9.4, "0:09"),
        (59.6, "1:00"),
        (605, "10:05"),
        (3600, "1:00:00"),
        (7322, "2:02:02"),
    ],
)
def test_seconds_are_printed_as_timecodes(seconds: float, text: str) -> None:
    assert timecode(seconds) == text


def test_every_option_is_an_argument_of_the_library() -> None:
    schema = SearchRequest.model_json_schema()["properties"]
    for option in search.params:
        if option.name in {"body", "as_json"}:
            continue
        field = schema["from" if option.name == "from_" else option.name]
        if getattr(option, "show_default", False):
            assert option.default == field["default"], option.name
        choices = getattr(option.type, "choices", None)
        enums = [each["enum"] for each in (field, *field.get("anyOf", [])) if "enum" in each]
        assert enums == ([] if choices is None else [list(choices)]), option.name


def test_an_error_names_the_option_in_place_of_the_argument(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["search", "dog", "--from", "95"])
    assert capsys.readouterr().err == (
        "Error: --from must be a whole number from 0 to 90 (the page must lie within "
        "search.window), not 95\n"
    )


def test_vector_files_and_like_are_searched(tmp_path: Path) -> None:
    vector = unit_vectors("query", 1)[0]
    np.save(tmp_path / "query.npy", vector)
    (tmp_path / "query.json").write_text(json.dumps(vector.tolist()))
    answers = [
        json.loads(run("--vector", str(tmp_path / name), "--level", "both", "--json").stdout)
        for name in ("query.npy", "query.json")
    ]
    assert [hit["id"] for hit in answers[0]["hits"]] == [hit["id"] for hit in answers[1]["hits"]]
    assert (answers[0]["mode"], answers[0]["level"]) == ("vector", "both")
    _, *rows = lines(run("--like", "v03", "--at", "12", "-k", "3", "--from", "2"))
    assert [row[0] for row in rows] == ["3", "4", "5"]
    assert "v03" not in {row[1] for row in rows}


def test_highlights_and_explanations_go_to_stderr() -> None:
    said = run("red circle", "--highlight", "--explain", "--source", "title").stderr
    assert "<em>red</em>" in said
    assert "keyword: #1, bm25" in said
    assert "words in tags, title" in said


def test_highlighted_words_are_bold_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, engine: MemoryEngine
) -> None:
    title = "red <em>so called</em> & circle"
    engine.bulk("videos-000001", [Write("index", "odd", {"title": title})], refresh=True)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    with pytest.raises(SystemExit, match="0"):
        main(["search", "circle", "--mode", "keyword", "--highlight", "-k", "20"])
    said = capsys.readouterr().err
    # Broken between words, and beside the rank.
    first, second = said.partition("odd, title")[2].splitlines()[:2]
    assert first.rstrip() == ": red <em>so called</em> &"
    assert second.rstrip() == "  \x1b[1mcircle\x1b[0m"


def test_escape_sequences_of_a_highlight_are_shown_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, engine: MemoryEngine
) -> None:
    title = "a \x1b]0;owned\x07 circle\x1b[8m"
    engine.bulk("videos-000001", [Write("index", "odd\x1b[2J", {"title": title})], refresh=True)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit, match="0"):
        main(["search", "circle", "--mode", "keyword", "--highlight", "-k", "20"])
    out, err = capsys.readouterr()
    assert r"odd\x1b[2J" in out
    assert r"odd\x1b[2J, title: a \x1b]0;owned\x07" in err
    assert "\x1b[1m" in err, "styles of our own stay"
    assert not any(code in out + err for code in ("\x1b]0", "\x1b[2J", "\x1b[8m"))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("words.txt", b"no numbers", "is neither a .npy file nor a JSON list"),
        ("half.npy", b"PK\x03\x04 of an archive", "is no .npy file that can be read"),
        ("several.npy", None, "holds several arrays: save one as .npy"),
    ],
)
def test_a_file_without_a_vector_is_refused(
    name: str, content: bytes | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / name
    if content is None:
        with file.open("wb") as archive:
            np.savez(archive, a=np.ones(3), b=np.ones(3))
    else:
        file.write_bytes(content)
    with pytest.raises(SystemExit, match="2"):
        main(["search", "--vector", str(file)])
    assert said in " ".join(capsys.readouterr().err.split())
