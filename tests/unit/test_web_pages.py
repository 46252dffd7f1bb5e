"""The pages as a browser gets them, on an index in memory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from types import SimpleNamespace
from typing import Any, get_args
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.page_stage import Page, open_page, picture

from vidsearch.config import FusionName
from vidsearch.errors import BackendUnavailableError
from vidsearch.search import request_fields

_MOST_BYTES = 100_000


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with open_page() as opened:
        yield opened


@pytest.fixture
def own() -> Iterator[Page]:
    """One for a test that changes something."""
    with open_page() as opened:
        yield opened


def cards(html: str) -> list[str]:
    return re.findall(r'<li class="card" data-video="([^"]*)"', html)


def test_first_page_has_the_box_and_no_results(page: Page) -> None:
    answer = page.get("/")
    assert answer.status_code == 200
    assert "What should the video show?" in answer.text
    assert re.search(r'<input type="search" id="q" name="q" value=""', answer.text)
    assert cards(answer.text) == []


def test_first_load_is_under_100_kb(page: Page) -> None:
    html = page.get("/?q=red").text
    assert cards(html)
    linked = re.findall(r'(?:href|src)="(/static/[^"]+)"', html)
    assert {name.partition("?")[0].rpartition(".")[2] for name in linked} == {"css", "js", "svg"}
    assert not re.findall(r'(?:href|src)="(?:https?:)?//', html), "nothing comes from elsewhere"
    files = [page.get(name) for name in linked]
    assert {file.status_code for file in files} == {200}
    sizes = [len(html.encode()), *(len(file.content) for file in files)]
    assert sum(sizes) < _MOST_BYTES, sizes


def test_results_are_cards_the_best_first(page: Page) -> None:
    html = page.get("/?q=red").text
    assert cards(html)[0] == "r"
    assert 'aria-label="Play Harbour from 0:00"' in html
    assert 'href="/video/r#t=0"' in html
    assert re.search(r'cosine <b class="number">[01]\.\d{3}</b>', html)


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("q=green&mode=vector&level=video", "g"),
        ("q=harbour&mode=keyword", "r"),
        ("q=red&fusion=linear", "r"),
        ("like=b&at=12", "g"),
        ("q=blue&f.tags=day", "r"),
        ("q=blue&f.tags=land&f.tags=sea&where=title.keyword=Lagoon", "b"),
    ],
)
def test_the_address_holds_the_search(page: Page, query: str, first: str) -> None:
    answer = page.get(f"/?{query}")
    assert answer.status_code == 200
    assert cards(answer.text)[0] == first
    again = _form_of(answer.text)
    for name, values in parse_qs(query).items():
        if not name.startswith("f."):
            assert again[name] == values


def _form_of(html: str) -> dict[str, list[str]]:
    """What the form would send, but for facets."""
    form = html[html.index('<form class="ask"') : html.index("</form>")]
    found: dict[str, list[str]] = {}
    for tag in re.findall(r"<input [^>]*>", form):
        kind = re.search(r'type="(\w+)"', tag)
        name, value = re.search(r' name="(\w+)"', tag), re.search(r' value="([^"]*)"', tag)
        if kind and kind[1] == "radio" and " checked" not in tag:
            continue
        if name and value:
            found[name[1]] = [unescape(value[1])]
    for name_, options in re.findall(r'<select name="(\w+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options)
        found[name_] = [chosen[1] if chosen else ""]
    return found


@pytest.mark.parametrize("fusion", get_args(FusionName))
def test_every_fusion_is_offered_and_that_of_the_address_stays_chosen(
    page: Page, fusion: str
) -> None:
    for query in ("q=red", "q=red&mode=keyword"):  # whether the engine has it or not
        html = page.get(f"/?{query}&fusion={fusion}").text
        assert _form_of(html)["fusion"] == [fusion]
        assert f"({fusion})</option>" in html


@pytest.mark.parametrize(
    ("sort", "shown"),
    [("-shot", "newest (shot)"), ("shot", "shot, upwards"), ("-tags", "tags, downwards")],
)
def test_the_order_of_the_address_is_chosen_whether_it_is_offered_or_not(
    page: Page, sort: str, shown: str
) -> None:
    html = page.get(f"/?q=red&sort={sort}").text
    assert cards(html)
    chosen = re.search(r'<select name="sort".*?value="([^"]*)" selected>([^<]*)<', html, re.DOTALL)
    assert chosen is not None
    assert chosen.groups() == (sort, shown)


def test_what_videos_say_is_escaped(own: Page) -> None:
    bad = '"><script>alert(1)</script>'
    own.put_video("evil", "red", title=bad, description=bad, tags=[bad, "x"])
    html = own.get("/", params={"q": bad, "f.tags": bad, "where": "", "pic": bad, "v": "x"}).text
    html += own.get("/", params={"q": "red"}).text + own.get(f"/{bad}").text
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html


def test_texts_of_people_are_written_in_their_own_direction(own: Page) -> None:
    harbour = "\u05e0\u05de\u05dc (1)"  # Hebrew, whose bracket would else be on the wrong side
    own.put_video("he", "red", title=harbour, description=harbour, tags=[harbour, "sea"])
    own.put_video("he2", "red", title="x", tags=[harbour])
    asked = {"q": harbour, "like": "r", "pic": harbour, "mode": "vector", "twins": "show"}
    html = own.get("/", params=asked).text
    told = re.escape(harbour)
    for element in (
        rf'value="{told}" dir="auto"',
        rf'<h2 dir="auto"><a [^>]*>{told}',
        rf'<p class="words" dir="auto">{told}',
        rf'<span dir="auto">{told}',
        rf'<span dir="auto">Like {told}',
    ):
        assert re.search(element, html), element


def test_no_page_has_script_or_style_in_it(page: Page) -> None:
    paths = {"/": 200, "/?q=red": 200, "/?q=red&page=x": 422, "/nowhere": 404, "/login": 200}
    for path, status in paths.items():
        answer = page.get(path)
        assert answer.status_code == status
        assert re.findall(r"<script(?![^>]* src=)", answer.text) == []
        assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:", answer.text) == []
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy


def test_where_a_video_lies_is_not_shown(page: Page) -> None:
    html = page.get("/?q=red").text
    assert cards(html)
    assert "/videos/r.mp4" not in html
    assert "file:" not in html


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("q=red&mode=smell", "mode must be hybrid, vector or keyword"),
        ("q=red&page=x", "Page must be a number"),
        ("q=red&page=10", "Page must be at most 9, not 10"),
        ("q=red&page=" + "9" * 30, "Page must be at most 9"),
        ("q=red&where=year", "is no condition"),
        ("like=nobody", "no video &#39;nobody&#39;"),
        ("q=red&sort=-nothing", "nothing"),
        ("v=00000000AAAA&pic=a", "another model"),
    ],
)
def test_a_wrong_search_says_what_is_wrong_and_keeps_the_form(
    page: Page, query: str, said: str
) -> None:
    answer = page.get(f"/?{query}")
    assert answer.status_code == 422
    assert said.lower() in answer.text.lower()
    again = _form_of(answer.text)
    for name, values in parse_qs(query).items():
        if name in {"q", "like", "v", "pic", "where", "sort"}:
            assert again[name] == values


def test_a_search_that_failed_keeps_filters_and_order_and_can_be_done_without(page: Page) -> None:
    html = page.get("/?q=red&sort=-nothing&f.tags=sea&f.tags=day").text
    assert re.findall(r'type="hidden" name="f.tags" value="(\w+)"', html) == ["sea", "day"]
    assert re.search(r'<a class="button" href="/\?q=red">Leave out filters and order', html)


def test_videos_whose_value_is_an_empty_text_can_be_chosen(own: Page) -> None:
    for id in ("e", "f"):
        own.put_video(id, "red", title="x", tags=[""] if id == "e" else ["", "sea"])
    offered = own.get("/?q=red&twins=show").text
    assert re.search(r'name="f.tags" value=""[^>]*><span dir="auto">\(empty\)</span>', offered)
    chosen = own.get("/?q=red&twins=show&f.tags=&f.tags=land").text
    assert sorted(cards(chosen)) == ["e", "f", "g", "w"]
    assert re.search(r'name="f.tags" value="" form="search" checked', chosen)
    for id in ("e", "f"):
        own.remove_video(id)
    none = own.get("/?q=red&f.tags=").text
    assert re.search(r'value=""[^>]* checked[^>]*><span dir="auto">\(empty\)</span>', none)


def test_nothing_found_gives_hints(page: Page) -> None:
    html = page.get("/?q=zebra&mode=keyword&f.tags=sea").text
    assert cards(html) == []
    assert "No video that matches the filters contains these words" in html
    assert "Search by look and words" in html
    assert 'href="/?q=zebra&amp;mode=keyword"' in html, "without the filters"
    assert "No video matches the filters" in page.get("/?q=red&f.tags=none").text
    assert "No video contains these words" in page.get("/?q=zebra&mode=keyword").text


def test_an_index_without_videos_says_so(own: Page) -> None:
    for id in "gbw":
        own.remove_video(id)
    html = own.get("/?like=r&mode=vector").text
    assert "There is no other video" in html
    own.remove_video("r")
    html = own.get("/?q=red").text
    assert cards(html) == []
    assert "There are no videos in the index yet" in html
    assert re.search(r'<a href="/admin">See what waits', html)


def test_a_page_after_the_last_one_leads_back(page: Page) -> None:
    html = page.get("/?q=red&page=3").text
    assert cards(html) == []
    assert "The results end before this page" in html
    assert "no videos" not in html.lower()
    assert re.search(r'<a href="/\?q=red">Go back to the first page</a>', html)


def test_another_name_of_the_server_is_told_as_what_is_wrong(page: Page) -> None:
    answer = page.client.get("/", headers={"accept": "text/html", "host": "films.example.com"})
    assert answer.status_code == 421
    assert "<h1>This is not a name of this server</h1>" in answer.text
    assert "web.allowed_hosts" in answer.text


def test_a_page_beyond_all_that_can_be_shown_leads_back(page: Page) -> None:
    html = page.get("/?q=red&f.tags=sea&page=10").text
    assert 'href="/?q=red&amp;f.tags=sea">Go to the first page</a>' in html


def test_a_page_that_is_not_at_fault_is_not_offered_to_be_left(page: Page) -> None:
    html = page.get("/?q=red&sort=-nothing&page=2").text
    assert "Go to the first page" not in html
    assert re.search(r'href="/\?q=red">Leave out filters and order', html)


def test_a_video_that_is_gone_is_told_without_commands(page: Page) -> None:
    html = page.get("/?like=nobody").text
    assert "Like: no video &#39;nobody&#39; in the index." in html
    assert "vidsearch videos" not in html


def test_rarer_options_are_counted_and_open_only_where_one_may_be_wrong(page: Page) -> None:
    for query, summary, is_open in (
        ("q=red", "More options", False),
        ("q=red&level=video&where=tags=sea", "More options (2)", False),
        ("q=red&where=tags", "More options (1)", True),
    ):
        html = page.get(f"/?{query}").text
        assert re.search(r'<details class="more"( open)?>', html).groups() == (
            (" open",) if is_open else (None,)
        )
        assert f"<summary>{summary}</summary>" in html


@pytest.mark.parametrize("limit", [{"web": {"max_k": 3}}, {"search": {"window": 3}}])
def test_a_page_has_no_more_results_than_a_client_may_ask_for(limit: dict[str, Any]) -> None:
    with open_page(**limit) as few:
        html = few.get("/?q=red&mode=vector&twins=show").text
        assert len(cards(html)) == 3
        beyond = re.search(r'rel="next" href="([^"]*)"', html)
        assert (beyond is None) is ("search" in limit)
        if beyond:
            assert len(cards(few.get(unescape(beyond[1])).text)) == 1


def test_the_page_can_be_searched_where_clients_may_give_one_condition() -> None:
    with open_page(web={"max_conditions": 1}) as strict:
        assert cards(strict.get("/?q=red").text)
        assert cards(strict.get("/?q=red&f.tags=sea").text)
        assert strict.get("/?q=red&f.tags=sea&f.tags=day").status_code == 422


_COPIED = {"type": "keyword", "copy_to": ["all"]}
_ALIAS_OF_ALL = {"type": "alias", "path": "all"}


@pytest.mark.parametrize(
    ("mapping", "name"),
    [
        ({"nick": {"type": "alias", "path": "secret"}}, "nick"),
        ({"place": {"type": "alias", "path": "video.uri"}}, "place"),
        ({"nick": {"type": "alias", "path": "secret"}}, "nick.keyword"),
        ({"place": {"type": "alias", "path": "video.uri"}}, "place.keyword"),
        ({"more": {"type": "flattened"}}, "more"),
        ({"more": {"type": "flattened"}}, "more.inner"),
        ({"more": {"type": "flattened"}, "nick": {"type": "alias", "path": "more"}}, "nick"),
        ({"more": {"type": "flattened"}, "nick": {"type": "alias", "path": "more"}}, "nick.inner"),
        ({"secret": _COPIED, "all": {"type": "keyword"}}, "all"),
        ({"secret": _COPIED, "all": {"type": "keyword"}}, "all.keyword"),
        ({"secret": _COPIED, "all": {"type": "keyword"}, "nick": _ALIAS_OF_ALL}, "nick"),
        ({"more": {"properties": {"inner": _COPIED}}, "all": {"type": "keyword"}}, "all"),
    ],
)
def test_no_other_field_tells_of_a_hidden_one(mapping: dict[str, Any], name: str) -> None:
    web = {"hidden_fields": ["secret", "more.inner"]}
    with open_page(web=web, properties=mapping) as hiding:
        assert f'name="f.{name}"' not in hiding.get("/?q=red").text
        for query in (f'filter={{"{name}":"x"}}', f"facets={name}", f"sort={name}"):
            answer = hiding.client.get(f"/api/search?text=red&mode=vector&{query}")
            assert answer.status_code == 422
            assert "is not shown" in answer.json()["detail"]
        assert hiding.get(f"/?q=red&f.{name}=x").status_code == 422
        other = hiding.client.get('/api/search?text=red&mode=vector&filter={"tags":"sea"}')
        assert other.status_code == 200


@pytest.mark.parametrize(
    ("mapping", "name"),
    [
        ({"more": {"properties": {"inner": {"type": "keyword"}}}}, "more"),
        ({"more": {"type": "flattened"}}, "more"),
        ({"secret": {"type": "keyword", "copy_to": ["of.all"]}, "of": {"properties": {}}}, "of"),
        ({"of": {"properties": {"nick": {"type": "alias", "path": "secret"}}}}, "of"),
    ],
)
def test_that_an_object_is_there_tells_nothing_of_a_hidden_field(
    mapping: dict[str, Any], name: str
) -> None:
    shown = {"type": "keyword"}
    properties = {"secret": shown, "open": {"properties": {"inner": shown}}, **mapping}
    web = {"hidden_fields": ["secret", "more.inner"]}
    with open_page(web=web, properties=properties) as hiding:

        def asked(name: str) -> int:
            filter = json.dumps({name: {"exists": True}})
            path = f"/api/search?text=red&mode=vector&filter={filter}"
            return int(hiding.client.get(path).status_code)

        assert [asked(each) for each in (name, "open", "video")] == [422, 200, 200]


def test_engine_away_is_told_without_its_address(
    own: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: Any, **options: Any) -> Any:
        raise BackendUnavailableError("http://10.1.2.3:9200 does not answer")

    monkeypatch.setattr(own.engine, "run", away)
    answer = own.get("/?q=red&f.tags=sea")
    assert answer.status_code == 503
    assert "The search is away" in answer.text
    assert "Leave out filters" not in answer.text, "they are not at fault"
    assert "10.1.2.3" not in answer.text


@pytest.mark.parametrize("path", ["/?q=red&mode=keyword", "/admin"])
def test_a_failure_shows_the_name_that_the_log_has(
    own: Page, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    def away(*args: Any, **options: Any) -> Any:
        raise BackendUnavailableError("http://10.1.2.3:9200 does not answer")

    monkeypatch.setattr(own.engine, "run", away)
    shown = re.search(r"<code>(urn:uuid:[^<]*)</code>", own.get(path).text)
    assert shown is not None
    assert shown[1] in caplog.text
    assert "urn:uuid" not in own.get("/nowhere").text


def test_a_fusion_that_the_engine_lacks_is_told_without_its_address(page: Page) -> None:
    answer = page.get("/?q=red&fusion=native")
    assert answer.status_code == 422
    assert "offers no retriever" in answer.text
    assert "memory:" not in answer.text


def test_while_the_model_loads_the_page_waits_and_words_can_be_searched(own: Page) -> None:
    own.context.readiness.state = "loading"
    answer = own.get("/?q=harbour&f.tags=sea")
    assert answer.status_code == 503
    assert "The model is loading" in answer.text
    assert int(answer.headers["refresh"]) > 0, "the page asks again by itself"
    link = re.search(r'href="([^"]*mode=keyword[^"]*)"', answer.text)
    assert link is not None
    assert cards(own.get(unescape(link[1])).text) == ["r"]
    assert cards(own.get("/?like=b").text), "a video's vector is there already"
    assert own.get("/").status_code == 200
    own.context.readiness.state = "ready"
    assert cards(own.get("/?q=harbour&f.tags=sea").text)[0] == "r"


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_a_picture_goes_into_the_address_and_survives_a_reload(page: Page, format: str) -> None:
    image = ("boat.png", picture("red", format=format), "image/png")
    fields = {"search": "q=old&mode=vector&f.tags=day&page=3", "label": ""}
    answer = page.post("/picture", files={"image": image}, data=fields)
    assert answer.status_code == 303
    there = answer.headers["location"]
    given = parse_qs(urlsplit(there).query)
    assert {name: given[name] for name in given if name != "v"} == {
        "pic": ["boat.png"],
        "mode": ["vector"],
        "f.tags": ["day"],
    }
    first, second = page.get(there), page.get(there)
    assert cards(first.text)[0] == cards(second.text)[0] == "r"
    assert "Picture: boat.png" in first.text


def test_a_frame_is_called_as_its_player_says(page: Page) -> None:
    files = {"image": ("picture", picture("blue"), "image/png")}
    answer = page.post("/picture", files=files, data={"search": "", "label": "Harbour at 0:12"})
    assert "Picture: Harbour at 0:12" in page.get(answer.headers["location"]).text


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n but no more"])
def test_what_is_no_picture_is_refused(page: Page, content: bytes) -> None:
    answer = page.post("/picture", files={"image": ("a.png", content, "image/png")})
    assert answer.status_code == 422
    assert "picture" in answer.text or "image" in answer.text.lower()
    assert "Pillow" not in answer.text
    assert 'href="/"' in answer.text


def test_a_form_without_a_file_is_refused(page: Page) -> None:
    assert page.post("/picture", data={"search": "q=a"}).status_code == 422


@pytest.mark.parametrize("charset", ["undefined", "utf-7", "punycode", '"PUNYCODE"', "latin-1"])
@pytest.mark.parametrize("path", ["/picture", "/login"])
def test_a_form_in_another_charset_than_utf_8_is_refused(
    page: Page, path: str, charset: str
) -> None:
    body = b'--b\r\ncontent-disposition: form-data; name="label"\r\n\r\n+2AA-\r\n--b--\r\n'
    kind = f"multipart/form-data; boundary=b; charset={charset}"
    headers = {"accept": "text/html", "content-type": kind}
    answer = page.client.post(path, content=body, headers=headers)
    assert answer.status_code == 400
    assert "UTF-8" in answer.text


@pytest.mark.parametrize("charset", ["", "; charset=UTF-8", '; charset="us-ascii"'])
def test_a_form_in_utf_8_is_read_whether_it_says_so_or_not(page: Page, charset: str) -> None:
    head = '--b\r\ncontent-disposition: form-data; name="image"; filename="a"\r\n\r\n'
    body = head.encode() + picture("red") + b"\r\n--b--\r\n"
    headers = {"content-type": f"multipart/form-data; boundary=b{charset}"}
    answer = page.client.post("/picture", content=body, headers=headers, follow_redirects=False)
    assert answer.status_code == 303


def test_a_long_text_is_refused_before_its_letters_are_composed(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compose(*_: object) -> str:
        raise AssertionError("takes time that grows by the square of the length")

    monkeypatch.setattr(request_fields, "unicodedata", SimpleNamespace(normalize=compose))
    answer = page.get("/", params={"q": "a" + "\u0315" * 500 + "\u0300" * 501})
    assert answer.status_code == 422
    assert "Text has 1002 characters, more than 1000" in answer.text


def test_a_picture_from_a_page_of_another_site_is_refused(page: Page) -> None:
    files = {"image": ("a.png", picture("red"), "image/png")}
    headers = {"accept": "text/html", "sec-fetch-site": "cross-site"}
    assert page.client.post("/picture", files=files, headers=headers).status_code == 403


def test_a_picture_above_the_limit_is_refused() -> None:
    with open_page(web={"max_upload_bytes": 2000}) as small:
        files = {"image": ("a.png", picture("red") + bytes(3000), "image/png")}
        answer = small.post("/picture", files=files)
        assert answer.status_code == 413
        assert "<h1>The picture is too large</h1>" in answer.text


def test_below_a_path_links_and_forms_keep_it() -> None:
    with open_page(root_path="/videos", thumbnails={"url": "/pictures"}) as mounted:
        html = mounted.get("/videos/?q=red").text
        found = mounted.get("/videos/api/search?text=red&mode=vector").json()
    assert found["hits"][0]["moments"][0]["thumbnail"].startswith("/videos/thumbnail/")
    local = re.findall(r'(?:href|src|action|data-source)="(/[^"]*)"', html)
    assert local
    assert [link for link in local if not link.startswith("/videos/")] == []
