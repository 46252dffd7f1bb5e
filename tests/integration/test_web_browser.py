"""The pages in a browser: Debian's Chromium, a real node, drawn clips.

Skipped where there is no Chromium, failed where ``CI`` is set.
"""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.programs import program
from tests.reindex_runs import reindex_run
from tests.services import RunningServices
from tests.waiting import until
from tests.web_site import Site, indexed_clips, serve

from vidsearch.config import Settings
from vidsearch.demo import DemoClip
from vidsearch.registry import ErrorRecord, State
from vidsearch.reindex import Step
from vidsearch_tasks import run_store

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

_SCREEN = "document.getElementById('screen')"
PHONE = {"width": 360, "height": 740}
IN_BUCKET = "demo-08"
TOKEN = "a-token-of-these-tests"
OpenTab = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = program("chromium")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        opened = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The URL of an S3 server, which the environment names as an operator would."""
    import boto3
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("AWS_"):
                patch.delenv(name)
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "word")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem.clear_instance_cache()
        client = boto3.client("s3")
        client.create_bucket(Bucket="media")
        client.close()
        yield f"http://{host}:{port}"
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.fixture(scope="module")
def site(
    browser: Browser,
    services: RunningServices,
    redis_url: str,
    bucket: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    folder, name = tmp_path_factory.mktemp("site"), f"test-{uuid.uuid4().hex[:12]}"
    settings = Settings(
        engine={"url": services.node("es-9.5.3").url},
        broker={"url": redis_url, "queue": f"q-{name}"},
        index={"name": name},
        model={"name": "demo"},
        ingest={"isolate": False},
        sources={"roots": [folder]},
        thumbnails={"url": str(folder / "pictures")},
        web={"media_origins": [bucket]},
    )
    try:
        clips = indexed_clips(settings, folder / "clips", number=8, uri_of=_uri_of)
        with serve(settings, clips) as running:
            yield running
    finally:
        services.drop(name)


@pytest.fixture(scope="module")
def writing(site: Site) -> Iterator[Site]:
    """A second server of the same index, with a token, retries, and four videos on a page."""
    web = {"token": TOKEN, "allow_writes": True, "max_k": 4}
    settings = Settings(**{**dict(site.context.settings), "web": web})
    with serve(settings, site.clips) as running:
        yield running


def _uri_of(clip: DemoClip) -> str:
    """The last one lies in the bucket."""
    if clip.id != IN_BUCKET:
        return str(clip.path)
    import boto3

    client = boto3.client("s3")
    client.put_object(Bucket="media", Key="in/a b.mp4", Body=clip.path.read_bytes())
    client.close()
    return "s3://media/in/a b.mp4"


@pytest.fixture
def tab(browser: Browser, site: Site) -> Iterator[OpenTab]:
    """Opens a page of the site; at the end, no script failed and the policy refused nothing."""
    said: list[str] = []
    contexts = []

    def open_tab(path: str = "/", **options: Any) -> Page:
        context = browser.new_context(**{"base_url": site.url, **options})
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path)
        return page

    yield open_tab
    for context in contexts:
        context.close()
    assert [one for one in said if "status of 4" not in one and "status of 503" not in one] == []


def ids(page: Page) -> list[str]:
    """Of the videos on the page, in their order."""
    cards = page.locator(".card")
    return [cards.nth(at).get_attribute("data-video") or "" for at in range(cards.count())]


def address(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def playing(page: Page) -> float:
    """Seconds that the player is at, once it shows a frame."""
    # Not by wait_for_function, which evaluates a text within the page: its policy refuses that.
    until(lambda: page.evaluate(f"{_SCREEN}.readyState") >= 2, what="a frame in the player")
    seconds: float = page.evaluate(f"{_SCREEN}.currentTime")
    return seconds


def test_words_find_a_moment_and_a_click_plays_from_there(tab: OpenTab, site: Site) -> None:
    clip = next(clip for clip in site.clips if len(clip.scenes) == 2)
    late = clip.scenes[1]
    page = tab()
    page.get_by_role("radio", name="Look", exact=True).check()
    page.get_by_label("What the video should show").fill(late.caption)
    page.keyboard.press("Enter")
    expect(page.locator(".card").first).to_have_attribute("data-video", clip.id)
    assert address(page) == {"q": [late.caption], "mode": ["vector"]}
    card = page.locator(".card").first
    expect(card.locator("img").first).to_have_js_property("naturalWidth", 320)
    card.locator(".still").click()
    expect(page.get_by_role("dialog", name=clip.title)).to_be_visible()
    assert playing(page) >= late.start - 0.3
    moments = page.locator("#player-moments a")
    assert moments.count() >= 2
    moments.first.click()
    until(lambda: playing(page) < late.start - 1, what="the player to go back")


def test_everything_can_be_reached_by_keyboard(tab: OpenTab) -> None:
    page = tab()
    assert page.evaluate("document.activeElement.id") == "q", "the box has the focus"
    page.keyboard.type("harbour", delay=0)
    page.keyboard.press("Enter")
    page.wait_for_selector(".card, .state")
    page.goto("/?q=circle")
    link = page.locator(".card .still").first
    for _ in range(60):
        page.keyboard.press("Tab")
        if link.evaluate("one => one === document.activeElement"):
            break
    expect(link).to_be_focused()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    playing(page)
    part = page.get_by_role("button", name="Search by a part of it")
    part.focus()
    page.keyboard.press("Space")
    for key in ("ArrowRight", "Shift+ArrowDown"):
        page.keyboard.press(key)
    expect(page.get_by_role("button", name="Search by this part")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(link).to_be_focused()


def test_a_choice_searches_at_once_and_keeps_the_focus(tab: OpenTab) -> None:
    page = tab("/?q=circle")
    before = ids(page)
    box = page.get_by_role("checkbox", name=re.compile("^dark"))
    box.check()
    page.wait_for_url("**/?q=circle&f.tags=dark")
    again = page.get_by_role("checkbox", name=re.compile("^dark"))
    expect(again).to_be_checked()
    expect(again).to_be_focused()
    assert set(ids(page)) < set(before)
    page.get_by_role("radio", name="Words", exact=True).check()
    page.wait_for_url("**mode=keyword**")
    page.go_back()
    expect(page.get_by_role("radio", name="Look and words")).to_be_checked()


def test_an_empty_value_of_a_facet_is_searched_by(tab: OpenTab) -> None:
    page = tab("/?q=circle")
    box = page.get_by_role("checkbox", name=re.compile("^dark"))
    # In one step: `check` would look for the box again on the page that comes, and check "dark".
    box.evaluate("it => { it.value = ''; it.click(); }")
    page.wait_for_url("**/?q=circle&f.tags=")
    expect(page.get_by_role("checkbox", name=re.compile(r"^\(empty\)"))).to_be_checked()
    expect(page.get_by_text("No video matches the filters")).to_be_visible()


def test_rarer_options_stay_open_only_while_they_are_chosen(tab: OpenTab) -> None:
    page = tab("/?q=circle")
    page.get_by_text("More options").click()
    level = page.get_by_label("A video counts by")
    level.select_option("the whole of it")
    page.wait_for_url("**level=video**")
    expect(level).to_be_focused()
    page.goto("/?q=circle&level=video")
    expect(page.get_by_text("More options (1)")).to_be_visible()
    expect(level).to_be_hidden()


def test_a_long_title_takes_three_lines_of_a_card_until_it_has_the_focus(tab: OpenTab) -> None:
    page = tab("/?q=circle")
    title = page.locator(".card h2").first
    one = title.bounding_box()
    title.locator("a").evaluate("it => { it.textContent = 'Harbour '.repeat(100); }")
    three = title.bounding_box()
    page.locator(".card .still").first.focus()
    page.keyboard.press("Tab")
    whole = title.bounding_box()
    assert one
    assert three
    assert whole
    assert one["height"] < three["height"] < 3.5 * one["height"] < whole["height"]


def test_the_player_says_why_a_video_is_not_played(tab: OpenTab, site: Site) -> None:
    clip = site.clips[4]
    page = tab(f"/?q={clip.scenes[0].caption}&mode=vector")
    still = page.locator(f'.card[data-video="{clip.id}"] .still')
    told = page.locator("#told")
    gone = f"The file of video '{clip.id}' is not there any more."
    away = clip.path.rename(clip.path.with_suffix(".away"))
    try:
        still.click()
        expect(told).to_have_text(gone)
        for what in ("a part of it", "this frame"):
            page.get_by_role("button", name=f"Search by {what}").click()
        expect(page.locator("#drawing")).to_be_hidden()
        expect(told).to_have_text(gone)
        page.get_by_role("button", name="Close").click()
    finally:
        away.rename(clip.path)
    page.route("**/video/**", lambda route: route.fulfill(status=503))
    still.click()
    expect(told).to_contain_text("The server cannot read this video now")


def test_the_newest_come_first_where_that_is_chosen(tab: OpenTab, site: Site) -> None:
    page = tab("/?q=circle&mode=vector")
    page.get_by_label("Order").select_option("newest (shot)")
    page.wait_for_url("**sort=-shot**")
    known = [id for id in ids(page) if id.startswith("demo")]
    assert known == sorted(known, reverse=True)


def test_a_copy_is_folded_into_the_video_it_is_of(tab: OpenTab, site: Site) -> None:
    clip = site.clips[0]
    page = tab(f"/?q={clip.scenes[0].caption}&mode=vector")
    assert len({clip.id, "copy"} & set(ids(page))) == 1
    expect(page.locator(".card").first.get_by_text("1 near-duplicate")).to_be_visible()
    page.get_by_text("More options").click()
    page.get_by_label("Near-duplicates").select_option("all shown")
    page.wait_for_url("**twins=show**")
    assert {clip.id, "copy"} <= set(ids(page))


def test_more_like_this_searches_by_a_video(tab: OpenTab, site: Site) -> None:
    page = tab(f"/?q={site.clips[2].scenes[0].caption}")
    id, title = ids(page)[0], page.locator(".card").first.get_attribute("data-title")
    page.get_by_role("link", name="More like").first.click()
    page.wait_for_url(f"**like={id}**")
    assert id not in ids(page)
    page.get_by_role("link", name=f"Leave out Like {title}").click()
    expect(page.get_by_role("heading", name="What should the video show?")).to_be_visible()


@pytest.mark.parametrize("part", [False, True])
def test_a_frame_or_a_part_of_it_is_searched_by(tab: OpenTab, site: Site, part: bool) -> None:
    clip = site.clips[4]
    page = tab(f"/?q={clip.scenes[0].caption}&mode=vector&level=video")
    page.locator(".card .still").first.click()
    playing(page)
    if part:
        page.get_by_role("button", name="Search by a part of it").click()
        area = page.locator("#drawing").bounding_box()
        assert area is not None
        middle = (area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
        page.mouse.move(middle[0] - 120, middle[1] - 120)
        page.mouse.down()
        page.mouse.move(middle[0] + 120, middle[1] + 120, steps=3)
        page.mouse.up()
        page.get_by_role("button", name="Search by this part").click()
    else:
        page.get_by_role("button", name="Search by this frame").click()
    page.wait_for_url("**/?v=**")
    (label,) = address(page)["pic"]
    assert label.startswith("part of") is part
    found = ids(page)
    if not part:
        assert found[0] == clip.id
    expect(page.locator(".chip img")).to_have_js_property("complete", True)
    page.reload()
    assert ids(page) == found


def test_a_video_in_a_bucket_is_played_from_there_and_searched_by_its_moment(
    tab: OpenTab, site: Site, bucket: str
) -> None:
    clip = next(clip for clip in site.clips if clip.id == IN_BUCKET)
    page = tab(f"/?q={clip.scenes[0].caption}&mode=vector")
    asked: list[str] = []
    page.on("response", lambda answer: asked.append(answer.url))
    page.locator(f'.card[data-video="{clip.id}"] .still').click()
    playing(page)
    assert any(url.startswith(f"{bucket}/media/in/a%20b.mp4?") for url in asked), asked
    page.get_by_role("button", name="Search by a part of it").click()
    page.get_by_role("button", name="Search by this part").click()
    expect(page.locator("#told")).to_contain_text("lies on another server")
    page.get_by_role("button", name="Search by this frame").click()
    page.wait_for_url("**/?like=**")
    assert address(page)["like"] == [clip.id]
    assert float(address(page)["at"][0]) >= 0
    assert ids(page)


def test_where_a_browser_keeps_nothing_the_page_works_all_the_same(tab: OpenTab) -> None:
    page = tab("about:blank")
    page.add_init_script(
        "Object.defineProperty(window, 'sessionStorage', "
        "{get() { throw new DOMException('blocked', 'SecurityError'); }});"
    )
    page.goto("/?q=circle")
    page.get_by_role("checkbox", name=re.compile("^dark")).check()
    page.wait_for_url("**f.tags=dark**")
    page.locator(".card .still").first.click()
    playing(page)
    page.get_by_role("button", name="Search by this frame").click()
    page.wait_for_url("**v=**")
    assert ids(page)


def test_a_picture_is_uploaded_from_the_box(tab: OpenTab, site: Site, tmp_path: Path) -> None:
    page = tab(f"/?q={site.clips[1].scenes[0].caption}&mode=vector")
    still = tmp_path / "still.png"
    page.locator(".card").first.locator(".still").screenshot(path=still)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Search by a picture").click()
    chooser.value.set_files(still)
    page.wait_for_url("**/?v=**")
    assert address(page)["pic"] == ["still.png"]
    assert ids(page)


def test_what_is_transparent_in_a_picture_stays_so_on_its_way(
    tab: OpenTab, site: Site, tmp_path: Path
) -> None:
    disc = Image.new("RGBA", (64, 64))
    ImageDraw.Draw(disc).ellipse((8, 8, 56, 56), fill="red")
    disc.save(tmp_path / "disc.png")
    page = tab()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Search by a picture").click()
    chooser.value.set_files(tmp_path / "disc.png")
    page.wait_for_url("**/?v=**")
    sent = {
        "image": {
            "name": "a",
            "mimeType": "image/png",
            "buffer": (tmp_path / "disc.png").read_bytes(),
        }
    }
    answer = page.request.post("/picture", multipart=sent, max_redirects=0)
    assert address(page)["v"] == parse_qs(urlsplit(answer.headers["location"]).query)["v"]


def test_without_a_script_words_pictures_and_filters_work(
    tab: OpenTab, site: Site, tmp_path: Path
) -> None:
    clip = site.clips[3]
    page = tab("/", java_script_enabled=False)
    page.get_by_role("radio", name="Look", exact=True).check()
    page.get_by_label("What the video should show").fill(clip.scenes[0].caption)
    page.get_by_role("button", name="Search", exact=True).click()
    assert ids(page)[0] == clip.id
    assert f"/video/{clip.id}#t=" in (page.locator(".still").first.get_attribute("href") or "")
    page.get_by_role("checkbox", name=re.compile("^two scenes")).check()
    page.get_by_role("button", name="Apply").click()
    assert address(page)["f.tags"] == ["two scenes"]
    assert ids(page)[0] == clip.id
    still = tmp_path / "still.png"
    page.locator(".still").first.screenshot(path=still)
    page.get_by_text("More options").click()
    page.locator("#image").set_input_files(still)
    page.get_by_role("button", name="Search by this picture").click()
    assert address(page)["f.tags"] == ["two scenes"]
    assert address(page)["pic"] == ["still.png"]


@pytest.mark.parametrize("path", ["/", "/?q=circle", "/?q=zebra&mode=keyword", "/admin"])
def test_a_phone_scrolls_in_one_direction_only(tab: OpenTab, path: str) -> None:
    page = tab(path, viewport=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    wide = "[...document.querySelectorAll('.scroll')].filter(it => it.scrollWidth > it.clientWidth)"
    assert page.evaluate(f"{wide}.length") == 0


def test_a_phone_shows_filters_when_asked(tab: OpenTab) -> None:
    page = tab("/?q=circle", viewport=PHONE)
    filters = page.get_by_role("region", name="Filters")
    expect(filters).to_be_hidden()
    page.get_by_text("Filters", exact=True).click()
    expect(filters).to_be_visible()


def test_admin_shows_what_failed(tab: OpenTab) -> None:
    page = tab("/admin")
    row = page.get_by_role("row", name=re.compile("VideoOpenError"))
    expect(row).to_contain_text("broken")
    expect(row).not_to_contain_text("/clips/")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/?q=circle&mode=vector",
        "/?q=zebra&mode=keyword",
        "/?q=circle&mode=smell",
        "/login",
        "/admin",
        "/nowhere",
    ],
)
def test_axe_finds_no_violation_by_day_and_by_night(tab: OpenTab, path: str) -> None:
    _require_accessible_by_day_and_by_night(tab(path))


def test_axe_finds_no_violation_in_the_player(tab: OpenTab) -> None:
    page = tab("/?q=circle")
    page.locator(".card .still").first.click()
    playing(page)
    page.get_by_role("button", name="Search by a part of it").click()
    _require_accessible(page)


def test_next_back_clear_and_a_condition_lead_through_the_results(
    tab: OpenTab, writing: Site
) -> None:
    page = tab(
        "/?q=circle&mode=vector&twins=show",
        base_url=writing.url,
        extra_http_headers={"authorization": f"Bearer {TOKEN}"},
    )
    first = ids(page)
    page.get_by_role("link", name="Next").click()
    page.wait_for_url("**page=2")
    assert len(ids(page)) == len(first) == 4
    assert set(ids(page)).isdisjoint(first)
    page.get_by_role("link", name="Back").click()
    page.wait_for_url(lambda url: "page=" not in url)
    assert ids(page) == first
    page.get_by_role("checkbox", name=re.compile("^dark")).check()
    page.wait_for_url("**f.tags=dark**")
    chosen = ids(page)
    assert chosen != first
    page.get_by_role("link", name="Clear").click()
    page.wait_for_url(lambda url: "f.tags" not in url)
    expect(page.get_by_role("checkbox", name=re.compile("^dark"))).not_to_be_checked()
    assert ids(page) == first
    page.get_by_text("More options").click()
    page.get_by_label("Only where").fill("tags=dark")
    page.keyboard.press("Enter")
    page.wait_for_url("**where=tags**")
    assert ids(page) == chosen


def test_who_signs_in_sees_what_is_paused_and_retries_what_failed(
    tab: OpenTab, writing: Site
) -> None:
    services, id = writing.context.services, f"gone-{uuid.uuid4().hex[:6]}"
    services.registry.register(id, uri=str(writing.clips[0].path.with_name("gone.mp4")))
    services.registry.mark_queued(id)
    services.indexer.ingest(id, owner="the test")
    error = ErrorRecord("SourceUnavailableError", "fetch", "videos.example.com timed out")
    host = "source:videos.example.com"
    services.operations.pause(host, error=error, until=time.time() + 3600, by="the test")
    run = run_store(services).begin(
        lambda id, now: reindex_run(id, now, step=Step.ROLLED_BACK, error=error)
    )
    page = tab("/admin", base_url=writing.url)
    for token in (TOKEN[::-1], TOKEN):
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Sign in").click()
        if token != TOKEN:
            expect(page.get_by_role("alert")).to_contain_text("not the token")
    page.wait_for_url("**/admin")
    expect(page.get_by_role("group", name="Paused")).to_contain_text(host)
    expect(page.get_by_role("group", name="Reindex runs")).to_contain_text(run.target)
    _require_accessible_by_day_and_by_night(page)
    other = page.context.new_page()
    forged = f'<form method="post" action="{writing.url}/admin/retry"><button>Go</button></form>'
    other.set_content(forged)
    other.get_by_role("button").click()
    expect(other.get_by_role("heading", name="That is not allowed here")).to_be_visible()
    assert services.registry.get(id).state is State.FAILED
    page.get_by_role("button", name="Retry the videos with SourceNotFoundError").click()
    page.wait_for_url("**/admin?retried=*")
    expect(page.get_by_role("status")).to_contain_text("queued again")
    assert services.registry.get(id).state is State.QUEUED
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")
    page.goto("/admin")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_search_waits_for_the_model_and_goes_on_by_itself(tab: OpenTab, site: Site) -> None:
    site.context.readiness.state = "loading"
    try:
        page = tab("/?q=circle", java_script_enabled=False)
        expect(page.get_by_role("heading", name="The model is loading")).to_be_visible()
        _require_accessible(tab("/?q=circle"))
    finally:
        site.context.readiness.state = "ready"
    page.wait_for_selector(".card")


def _require_accessible_by_day_and_by_night(page: Page) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        _require_accessible(page)


def _require_accessible(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
