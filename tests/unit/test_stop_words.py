"""Which words of a text the keyword leg looks for by themselves, and what the whole text finds."""

from __future__ import annotations

from typing import Any

import pytest
from tests.search_index import TableEncoder, Video, create_index, unit_vectors

from vidsearch.config import SearchSettings
from vidsearch.search import VideoSearch
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_mappings.queries import highlighted, keyword_query
from vidsearch_mappings.stop_words import stop_words, without_stop_words

ENGLISH = stop_words(("_english_",))
TITLES = ["Pigs in a polka", "The Who", "To be or not to be", "A cow on the moon", "Now, who?"]


@pytest.fixture
def engine() -> MemoryEngine:
    engine = MemoryEngine()
    videos = [Video(title, {"title": title}, unit_vectors(title, 2)) for title in TITLES]
    create_index(engine, "videos", videos)
    return engine


def found(engine: MemoryEngine, text: str, **settings: Any) -> set[str]:
    search = VideoSearch(engine, TableEncoder(), settings=SearchSettings(**settings))
    return {hit.id for hit in search.search(text, mode="keyword")}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("red circle", "red circle"),
        ("A dog in the snow", "dog snow"),
        ("DON'T look", "look"),
        ("I don’t", ""),
        ("close-up of a cat", "close- cat"),
        ("o'clock at 5 a.m.", "o'clock 5 a.m."),
        ("to be, or not to be?", ""),
        ("  two   spaces ", "  two   spaces "),
        ("犬 in 雪", "犬 雪"),
        ("犬in雪", "犬雪"),
        ("the 🐶", "🐶"),
        ("“the?” — …", ""),
        ("cafe\u0301 a\u0301 the", "cafe\u0301 a\u0301"),
    ],
)
def test_stop_words_are_left_out_of_a_text(text: str, words: str) -> None:
    assert without_stop_words(text, ENGLISH) == words


def test_languages_and_single_words_add_up() -> None:
    both = stop_words(("_german_", "_english_", "Video"))
    assert without_stop_words("Ein Video of the Hund im Schnee", both) == "Hund Schnee"
    assert without_stop_words("the", stop_words(())) == "the"


def test_stop_words_are_the_same_however_they_are_written() -> None:
    german = stop_words(("_german_", "e\u0301te\u0301"))
    assert without_stop_words("Daß DASS fu\u0308r für Été Hund", german) == "Hund"


@pytest.mark.parametrize("name", ["_klingon_", "_English_", "_pt-br_", "__", "_"])
def test_unknown_language_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match=rf"'{name}'.*_english_"):
        SearchSettings(stop_words=(name,))


def test_stop_words_alone_find_no_video(engine: MemoryEngine) -> None:
    assert found(engine, "a cow in a field") == {"A cow on the moon"}
    assert found(engine, "in the") == set()


@pytest.mark.parametrize("name", ["The Who", "to be or not to be"])
def test_name_made_of_stop_words_is_found_by_the_phrase(engine: MemoryEngine, name: str) -> None:
    assert {title.lower() for title in found(engine, name)} == {name.lower()}


def test_without_stop_words_every_word_finds(engine: MemoryEngine) -> None:
    assert found(engine, "a cow", stop_words=()) == {"A cow on the moon", "Pigs in a polka"}


def test_highlights_leave_stop_words_unmarked(engine: MemoryEngine) -> None:
    search = VideoSearch(engine, TableEncoder())
    (hit,) = search.search("a cow on fire", mode="keyword", highlight=True)
    assert hit.highlights["title"] == ("A <em>cow</em> on the moon",)
    (hit,) = search.search("the who", mode="keyword", highlight=True)
    assert hit.highlights["title"] == ("<em>The</em> <em>Who</em>",)


def test_long_text_of_stop_words_stays_within_the_clauses_of_the_engine() -> None:
    engine = MemoryEngine()
    create_index(engine, "videos", [Video("v", {"title": "x"}, unit_vectors("x", 1))])
    search = VideoSearch(engine, TableEncoder())
    text = " ".join(f"the word{at}" for at in range(700))
    for query in (text, "the " * 3000):
        body = search.body(query, mode="keyword")["keyword"]
        (match,) = body["query"]["bool"]["must"]
        clauses = [match] if "multi_match" in match else match["bool"]["should"]
        looked_for = [clause["multi_match"] for clause in clauses]
        assert sum(len(one["query"].split()) * len(one["fields"]) for one in looked_for) <= 900


@pytest.mark.parametrize(
    ("text", "fields", "queries"),
    [
        ("in the car", 300, {"car": 300}),
        ("in the car", 200, {"car": 200, "in the car": 200}),
        ("in the car", 225, {"car": 225, "in the car": 225}),
        ("in the car", 450, {"car": 450}),
        ("in the car", 901, {"car": 900}),
        ("to be or not to be", 300, {"to be or not to be": 150}),
    ],
)
def test_phrase_is_the_whole_text_or_left_out(
    text: str, fields: int, queries: dict[str, int]
) -> None:
    engine = MemoryEngine()
    named = {f"field{at}": text for at in range(fields)}
    create_index(engine, "videos", [Video("v", named, unit_vectors("x", 1))])
    engine.put_mapping("videos", {"properties": {each: {"type": "text"} for each in named}})
    settings = SearchSettings(keyword_fields=("field*",))
    search = VideoSearch(engine, TableEncoder(), settings=settings)
    (match,) = search.body(text, mode="keyword")["keyword"]["query"]["bool"]["must"]
    clauses = [match] if "multi_match" in match else match["bool"]["should"]
    looked_for = [clause["multi_match"] for clause in clauses]
    assert {one["query"]: len(one["fields"]) for one in looked_for} == queries
    assert {hit.id for hit in search.search(text, mode="keyword")} == {"v"}


def test_bodies_hold_words_and_phrase_once() -> None:
    body = keyword_query(field="video", text="the who live", words="live", fields=["t"], size=1)
    (match,) = body["query"]["bool"]["must"]
    words, phrase = (clause["multi_match"] for clause in match["bool"]["should"])
    assert (words["query"], phrase["query"], phrase["type"]) == ("live", "the who live", "phrase")
    marked = highlighted({}, text="the who live", words="live", fields=["t"])
    assert marked["highlight"]["highlight_query"] == match
