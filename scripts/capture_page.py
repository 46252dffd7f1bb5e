"""Draw clips, index them and keep the search page as a picture: docs/web.png.

python scripts/capture_page.py [--states FOLDER]

Needs what `make demo` needs, and Chromium. With --states nothing in docs/ is written: the folder
gets a picture of each state of the pages, on a screen and on a phone, by day and by night.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from vidsearch.config import Settings
from vidsearch.demo import DemoClip, demo_clips
from vidsearch.index import create_videos_index
from vidsearch.local import Stack
from vidsearch_tasks import Services

ROOT = Path(__file__).resolve().parent.parent
SCREEN, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
COLOURS = 256
"""In the picture of the docs, which keeps it small."""
_WITHOUT_TIME = """() => {
  const told = document.querySelector(".results-head .soft");
  told.textContent = told.textContent.replace(/, \\d+ ms/, "");
}"""
"""For the docs: how long a search took on this machine, with whatever else it did, says nothing."""
TOKEN = "a-token-for-pictures"
_HERE = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def main() -> int:
    """Take the picture, or those of all states."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--states", type=Path, metavar="FOLDER", help="pictures of all states")
    states: Path | None = parser.parse_args().states
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("no Chromium here: on Debian `apt-get install chromium`")
    with tempfile.TemporaryDirectory(prefix="vidsearch-page-") as name, sync_playwright() as play:
        folder = Path(name)
        stack = Stack.up(folder / "stack", worker=False, model="demo", bound=True, talk=print)
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            settings = _settings(stack, folder)
            clips = _indexed(settings, folder / "clips")
            scene = next(clip for clip in clips if len(clip.scenes) == 2).scenes[1]
            path = "/?" + urlencode({"q": scene.caption, "mode": "vector"})
            if states is None:
                with _served(settings) as url:
                    _wait_until_ready(url)
                    _small(_shot(browser, url + path, run=_WITHOUT_TIME), ROOT / "docs" / "web.png")
            else:
                states.mkdir(parents=True, exist_ok=True)
                _all_states(browser, settings, stack, path, states)
        finally:
            browser.close()
            stack.down()
    return 0


def _settings(stack: Stack, folder: Path) -> Settings:
    return Settings(
        engine={"url": stack.environment["VIDSEARCH_ENGINE__URL"]},
        broker={"url": stack.environment["VIDSEARCH_BROKER__URL"]},
        model={"name": "demo"},
        sources={"roots": [folder / "clips"]},
        thumbnails={"url": str(folder / "pictures")},
    )


def _indexed(settings: Settings, folder: Path) -> tuple[DemoClip, ...]:
    """Drawn clips in the index, a copy of one, and a video that failed."""
    clips = demo_clips(folder, number=11)
    shutil.copy(clips[0].path, folder / "copy.mp4")
    (folder / "broken.mp4").write_bytes(b"no video")
    videos: list[tuple[str, Path, dict[str, Any]]] = [
        (clip.id, clip.path, {"title": clip.title, "tags": list(clip.tags)}) for clip in clips
    ]
    videos.append(("copy", folder / "copy.mp4", {"title": f"{clips[0].title} (copy)"}))
    videos.append(("broken", folder / "broken.mp4", {"title": "Broken"}))
    with Services(settings) as services:
        create_videos_index(services.engine, settings.index, services.encoder.identity)
        for id, path, fields in videos:
            services.registry.register(id, uri=str(path), fields=fields)
            services.registry.mark_queued(id)
            services.indexer.ingest(id, owner="capture_page.py")
        services.engine.refresh(settings.index.name)
    return clips


@contextmanager
def _served(settings: Settings, **web: str) -> Iterator[str]:
    """The URL of `vidsearch web`, as soon as its port answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ours = {
        "VIDSEARCH_ENGINE__URL": settings.engine.url,
        "VIDSEARCH_BROKER__URL": settings.broker.url.get_secret_value(),
        "VIDSEARCH_MODEL__NAME": settings.model.name,
        "VIDSEARCH_SOURCES__ROOTS": f'["{settings.sources.roots[0]}"]',
        "VIDSEARCH_THUMBNAILS__URL": str(settings.thumbnails.url),
        **{f"VIDSEARCH_WEB__{name.upper()}": value for name, value in web.items()},
    }
    others = {name: value for name, value in os.environ.items() if "VIDSEARCH" not in name}
    command = [sys.executable, "-m", "vidsearch.cli", "web", "--port", str(port)]
    server = subprocess.Popen(command, env={**others, **ours})
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/healthz", server)
        yield url
    finally:
        server.terminate()
        server.wait()


def _wait_until_ready(url: str) -> None:
    _wait_for(f"{url}/readyz")


def _wait_for(url: str, server: subprocess.Popen[bytes] | None = None) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if server is not None and server.poll() is not None:
            raise SystemExit(f"vidsearch web ended with exit code {server.returncode}")
        try:
            _HERE.open(url, timeout=10).close()
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise SystemExit(f"{url} did not answer within two minutes")


def _shot(
    browser: Browser,
    url: str,
    *,
    click: str = "",
    run: str = "",
    whole: bool = False,
    **how: Any,
) -> bytes:
    """A picture of a page, of which something is clicked, or a script run in it, before."""
    context = browser.new_context(**{"viewport": SCREEN, "locale": "en", **how})
    try:
        page = context.new_page()
        page.goto(url)
        if click:
            page.locator(click).first.click()
        if run:
            page.evaluate(run)
        page.wait_for_load_state("networkidle")
        return page.screenshot(full_page=whole)
    finally:
        context.close()


def _small(picture: bytes, file: Path) -> None:
    with Image.open(io.BytesIO(picture)) as shot:
        few = shot.convert("RGB").quantize(
            COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
        )
        few.save(file, optimize=True)
    print(f"{file.relative_to(ROOT)}: {file.stat().st_size // 1000} kB")


def _all_states(
    browser: Browser, settings: Settings, stack: Stack, path: str, folder: Path
) -> None:
    def keep(name: str, url: str, **how: Any) -> None:
        for size, viewport in (("screen", SCREEN), ("phone", PHONE)):
            for scheme in ("light", "dark"):
                shown = {"viewport": viewport, "color_scheme": scheme, "whole": True, **how}
                (folder / f"{name}-{size}-{scheme}.png").write_bytes(_shot(browser, url, **shown))

    with _served(settings) as url:
        keep("loading", url + path, java_script_enabled=False)
        _wait_until_ready(url)
        keep("start", url)
        keep("results", url + path)
        keep("options", url + path, click="summary")
        keep("filters", f"{url}/?q=circle&f.tags=dark")
        keep("player", url + path, click=".still", whole=False)
        keep("nothing", f"{url}/?q=zebra&mode=keyword")
        keep("wrong", f"{url}/?q=circle&mode=smell")
        keep("admin", f"{url}/admin")
        keep("not-found", f"{url}/nowhere")
        keep("without-a-script", url + path, java_script_enabled=False)
    with _served(settings, token=TOKEN, allow_writes="true") as url:
        _wait_until_ready(url)
        keep("sign-in", url)
        keep(
            "admin-writes", f"{url}/admin", extra_http_headers={"Authorization": f"Bearer {TOKEN}"}
        )
    with _served(settings) as url:
        _wait_until_ready(url)
        stack.down()
        keep("away", url + path)
        keep("admin-away", f"{url}/admin")


if __name__ == "__main__":
    sys.exit(main())
