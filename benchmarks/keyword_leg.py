"""What the keyword leg finds, by how it asks: function words, phrases, fields."""

from __future__ import annotations

import json
import os
import random
import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.report import Section
from vidsearch.config import EngineSettings, ModelSettings
from vidsearch.demo.draw import draw
from vidsearch.demo.scenes import ATTRIBUTES, paraphrase, scenes
from vidsearch.encoders import load_encoder
from vidsearch.engines import Engine, Json, Write, connect
from vidsearch.local import SearchNode
from vidsearch.media.frames import FrameBatch
from vidsearch.search.fusion import Rrf, Scored
from vidsearch_mappings.queries import keyword_query
from vidsearch_mappings.stop_words import stop_words, without_stop_words

TITLE = "Keyword leg"

WINDOW, QUERIES = 100, 300
FIELDS = ("title^2", "description")
PRODUCT = "without stop words, whole text as a phrase"
CAPTIONS = "BENCHMARK_CAPTIONS"
"""Variable with the path of a file of captions as Flickr8k.token.txt has them."""
NAMES = (
    *("The Who", "To Be or Not to Be", "It", "Up", "Her", "Them", "Us", "The The", "Who Is Who"),
    *("And Then There Were None", "Now and Then", "Being There", "Out of Time", "About a Boy"),
    *("Over the Top", "The Office", "In the Mood for Love", "Some Like It Hot"),
    *("It Is What It Is", "What We Do in the Shadows"),
)
_SHARED = Path(__file__).resolve().parent.parent.parent / "shared"
_ENGLISH = stop_words(("_english_",))
_SENTENCES = (
    *("a person with a {} in the park", "there is a {} on the table", "a close-up of the {}"),
    *("two of the {} next to each other", "a man and his {}"),
)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Videos with their words, and texts that each describe one of them."""

    name: str
    videos: Mapping[str, Mapping[str, str]]
    queries: Sequence[tuple[str, str]]
    cosines: np.ndarray | None = None
    """``(queries, videos)`` of a visual model, where there is one."""


def run(*, rounds: int, folder: Path) -> Iterator[Section]:
    """Every way to ask, on every corpus that is there; nothing depends on time."""
    rows = []
    with SearchNode.start("elasticsearch") as node:
        engine = connect(EngineSettings(url=node.url, kind=node.kind))
        for number, corpus in enumerate(corpora()):
            index = f"corpus-{number}"
            _fill(engine, index, corpus)
            rows += [_row(engine, index, corpus, name, ask) for name, ask in WAYS.items()]
        engine.close()
    figures = ("R@1", "R@5", "R@10", "MedR")
    yield Section(
        title="Texts of people against the words of videos, elasticsearch 9.5.3",
        columns=("corpus", "way", *figures, "in the leg", "hybrid R@1", "R@5", "R@10"),
        rows=tuple(rows),
        notes=(
            (
                f"the rank of the one video that a text describes, among the {WINDOW} best; a "
                "video that is not found has the last rank"
            ),
            (
                "in the leg: mean number of videos that a text finds by keyword; hybrid: `rrf` "
                "with the demo model over drawn frames"
            ),
            f"{PRODUCT}: what the keyword leg does",
            (
                "captions: the first of an image is the title, the second is the text (Flickr8k, "
                f"a file named in {CAPTIONS})"
            ),
        ),
    )


def corpora() -> Iterator[Corpus]:
    """Those whose data are there."""
    yield _drawn()
    manifest = _SHARED / "clips" / "MANIFEST.jsonl"
    if manifest.is_file():
        clips = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
        titles = {clip["file"]: {"title": _spoken(clip["file"])} for clip in clips}
        texts = [(clip["caption"], clip["file"]) for clip in clips if clip.get("caption")]
        yield Corpus("real clips, titles from file names", titles, texts)
    lvis = _SHARED / "clip_text_vectors" / "lvis_v1_train_cat_info.json"
    if lvis.is_file():
        things = json.loads(lvis.read_text(encoding="utf-8"))
        names = [re.sub(r"\(.*?\)", "", one["name"]).replace("_", " ").strip() for one in things]
        words = {
            str(at): {"title": name, "description": things[at]["def"]}
            for at, name in enumerate(names)
        }
        texts = [
            (_SENTENCES[at % len(_SENTENCES)].format(name), str(at))
            for at, name in enumerate(names[:QUERIES])
        ]
        yield Corpus("LVIS names and definitions", words, texts)
    if CAPTIONS in os.environ:
        captions = _captions(Path(os.environ[CAPTIONS]))
        titles = {image: {"title": first} for image, (first, _) in captions.items()}
        texts = [(second, image) for image, (_, second) in list(captions.items())[:QUERIES]]
        yield Corpus("captions", titles, texts)
        named = {name: {"title": name} for name in NAMES}
        yield Corpus("names of stop words among captions", {**titles, **named}, _by_name(named))


def _drawn() -> Corpus:
    rng = random.Random(5)
    drawn = scenes(QUERIES, seed=9, split="held_out")
    videos, texts, vectors = {}, [], []
    encoder = load_encoder(ModelSettings(name="demo"))
    for at, scene in enumerate(drawn):
        title = paraphrase(scene, rng=rng, mention=rng.sample(ATTRIBUTES, 3))
        videos[f"s{at}"] = {"title": title}
        texts.append((paraphrase(scene, rng=rng), f"s{at}"))
        frames = np.stack([draw(scene, time=time, seed=at) for time in (0.5, 1.5, 2.5)])
        mean = encoder.encode_frames(FrameBatch(frames, np.arange(3.0))).mean(axis=0)
        vectors.append(mean / np.linalg.norm(mean))
    asked = encoder.encode_text([text for text, _ in texts])
    return Corpus(
        "drawn scenes, titles of 3 of 6 attributes", videos, texts, asked @ np.stack(vectors).T
    )


def _spoken(file: str) -> str:
    return re.sub(r"[_\-.]+", " ", Path(file).stem)


def _by_name(named: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(name, name) for name in named]


def _captions(file: Path, *, images: int = 2000) -> dict[str, tuple[str, str]]:
    found: dict[str, dict[int, str]] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        if match := re.match(r"(\S+?)#(\d)\s+(.*?)\s*\.?\s*$", line):
            found.setdefault(match[1], {})[int(match[2])] = match[3]
    whole = sorted(image for image, captions in found.items() if {0, 1} <= captions.keys())
    random.Random(3).shuffle(whole)
    return {image: (found[image][0], found[image][1]) for image in whole[:images]}


def _words(text: str, **how: str) -> Json:
    return {"multi_match": {"query": text, "fields": list(FIELDS), "lenient": True, **how}}


def _as_in_the_product(text: str) -> Json:
    words = without_stop_words(text, _ENGLISH)
    body = keyword_query(field="video", text=text, words=words, fields=FIELDS, size=WINDOW)
    query: Json = body["query"]
    return query


def _content(text: str, **how: str) -> Json:
    words = without_stop_words(text, _ENGLISH)
    phrase = _words(text, type="phrase")
    return {"bool": {"should": [_words(words, **how), phrase]}} if words else phrase


def _no_phrase(text: str) -> Json:
    words = without_stop_words(text, _ENGLISH)
    return _words(words) if words else {"match_none": {}}


WAYS: dict[str, Callable[[str], Json]] = {
    "all words (before)": _words,
    "all words, minimum_should_match 50%": lambda text: _words(text, minimum_should_match="50%"),
    "without stop words": _no_phrase,
    PRODUCT: _as_in_the_product,
    "the same, minimum_should_match 2<50%": lambda text: _content(
        text, minimum_should_match="2<50%"
    ),
    "the same, cross_fields": lambda text: _content(text, type="cross_fields"),
    "the same, most_fields": lambda text: _content(text, type="most_fields"),
}


def _fill(engine: Engine, index: str, corpus: Corpus) -> None:
    text = {"type": "text"}
    mappings = {"properties": {"title": text, "description": text}}
    engine.create_index(index, {"mappings": mappings})
    writes = [Write("index", id, words) for id, words in corpus.videos.items()]
    engine.bulk(index, writes)
    engine.refresh(index)


def _row(
    engine: Engine, index: str, corpus: Corpus, name: str, ask: Callable[[str], Json]
) -> tuple[str, ...]:
    ranks, fused_ranks, found = [], [], []
    ids = list(corpus.videos)
    for start in range(0, len(corpus.queries), 50):
        queries = corpus.queries[start : start + 50]
        bodies = [{"size": WINDOW, "_source": False, "query": ask(text)} for text, _ in queries]
        for at, response in enumerate(engine.msearch(index, bodies), start):
            hits = [Scored(hit["_id"], hit["_score"]) for hit in response["hits"]["hits"]]
            hits.sort(key=lambda hit: (-hit.score, hit.id))
            right = corpus.queries[at][1]
            found.append(len(hits))
            ranks.append(_rank(hits, right, of=len(ids)))
            if corpus.cosines is not None:
                row = corpus.cosines[at]
                near = [Scored(ids[i], float(row[i])) for i in np.argsort(-row)[:WINDOW]]
                fused = Rrf()({"vector": near, "keyword": hits})
                fused_ranks.append(_rank(fused, right, of=len(ids)))
    hybrid = _recalls(fused_ranks) if fused_ranks else ["", "", ""]
    median = f"{statistics.median(ranks):g}"
    mean = f"{statistics.mean(found):.1f}"
    return (corpus.name, name, *_recalls(ranks), median, mean, *hybrid)


def _rank(hits: Sequence[Scored], right: str, *, of: int) -> int:
    return next((at for at, hit in enumerate(hits, 1) if hit.id == right), of)


def _recalls(ranks: Sequence[int]) -> list[str]:
    return [f"{sum(rank <= k for rank in ranks) / len(ranks):.3f}" for k in (1, 5, 10)]
