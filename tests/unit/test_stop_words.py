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
    ],
)
def test_stop_words_are_left_out_of_a_text(text: str, words: str) -> None:
    assert without_stop_words(text, ENGLISH) == words


def test_languages_and_single_words_add_up() -> None:
    both = stop_words(("_german_", "_english_", "Video"))
    assert without_stop_words("Ein Video of the Hund im Schnee", both) == "Hund Schnee"
    assert without_stop_words("the", stop_words(())) == "the"


def test_unknown_language_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'_klingon_'.*_english_"):
        SearchSettings(stop_words=("_klingon_",))


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


def test_bodies_hold_words_and_phrase_once() -> None:
    body = keyword_query(field="video", text="the who live", words="live", fields=["t"], size=1)
    (match,) = body["query"]["bool"]["must"]
    words, phrase = (clause["multi_match"] for clause in match["bool"]["should"])
    assert (words["query"], phrase["query"], phrase["type"]) == ("live", "the who live", "phrase")
    marked = highlighted({}, text="the who live", words="live", fields=["t"])
    assert marked["highlight"]["highlight_query"] == match
