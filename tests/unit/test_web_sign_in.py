"""Signing in and out as a browser does it, also below a path."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient
from tests.page_stage import TOKEN, open_page, picture


def test_the_token_is_asked_for_and_lets_in() -> None:
    with open_page(web={"token": TOKEN}) as locked:
        asked = locked.get("/?q=red")
        assert asked.status_code == 303
        there = asked.headers["location"]
        assert 'type="password"' in locked.get(there).text
        (target,) = parse_qs(urlsplit(there).query)["next"]
        out = locked.post("/picture", files={"image": ("a.png", picture("red"), "image/png")})
        assert out.status_code == 401
        assert "You are not signed in" in out.text
        assert "Bearer" not in out.text
        wrong = locked.post("/login", data={"token": "no", "next": target})
        assert wrong.status_code == 401
        right = locked.post("/login", data={"token": TOKEN, "next": target})
        assert (right.status_code, right.headers["location"]) == (303, "/?q=red")
        assert 'data-video="r"' in locked.get("/?q=red").text
        assert locked.post("/logout").status_code == 303
        assert locked.get("/?q=red").status_code == 303


def test_another_method_is_answered_with_those_that_signing_in_takes() -> None:
    with open_page() as page:
        answer = page.client.put("/login")
    assert answer.status_code == 405
    assert {each.strip() for each in answer.headers["allow"].split(",")} == {"GET", "HEAD", "POST"}


def test_below_a_path_the_cookie_is_of_that_path_alone() -> None:
    with open_page(root_path="/videos", web={"token": TOKEN}) as locked:
        signed_in = locked.post("/videos/login", data={"token": TOKEN})
        assert "Path=/videos;" in signed_in.headers["set-cookie"]
        assert locked.get("/videos/admin").status_code != 303
        assert "Path=/videos;" in locked.post("/videos/logout").headers["set-cookie"]
        assert locked.get("/videos/admin").status_code == 303


def test_below_a_path_the_cookie_of_another_server_does_not_hide_the_own() -> None:
    with (
        open_page(web={"token": TOKEN}) as above,
        open_page(root_path="/films", web={"token": TOKEN[::-1]}) as below,
    ):
        at_root = above.post("/login", data={"token": TOKEN})
        at_films = below.post("/films/login", data={"token": TOKEN[::-1]})
        below.client.cookies.clear()
        root, films = (each.headers["set-cookie"].partition(";")[0] for each in (at_root, at_films))

        def status(*cookies: str) -> int:
            headers = {"accept": "text/html", "cookie": "; ".join(cookies)}
            answer = below.client.get("/films/", headers=headers, follow_redirects=False)
            return int(answer.status_code)

        # Browsers send that of the longer path first.
        assert status(films, root) == 200
        assert status(root) == 303
        out = below.client.post("/films/logout", headers={"cookie": f"{films}; {root}"})
        assert f"{films.partition('=')[0]}=" in str(out.history[0].headers["set-cookie"])


@pytest.mark.parametrize(
    ("root", "path"),
    [
        ("/видео", "/%D0%B2%D0%B8%D0%B4%D0%B5%D0%BE"),
        ("/t/a; Domain=x.example", "/t/a%3B%20Domain=x.example"),
    ],
)
def test_the_cookie_is_of_the_path_as_browsers_send_it(root: str, path: str) -> None:
    with open_page(web={"token": TOKEN}) as locked:
        mounted = Starlette(routes=[Mount(root, locked.client.app)])
        client = TestClient(mounted, base_url="http://localhost", follow_redirects=False)
        signed_in = client.post(f"{path}/login", data={"token": TOKEN})
        assert (signed_in.status_code, signed_in.headers["location"]) == (303, f"{path}/")
        assert f"Path={path};" in signed_in.headers["set-cookie"]
        assert "Domain" not in signed_in.headers["set-cookie"].replace(path, "")
        assert f"Path={path};" in client.post(f"{path}/logout").headers["set-cookie"]


def test_signing_in_leads_back_to_a_path_with_blanks() -> None:
    with open_page(root_path="/films", web={"token": TOKEN}) as locked:
        asked = locked.get("/films/video/a%20b?x=%20").headers["location"]
        (target,) = parse_qs(urlsplit(asked).query)["next"]
        shown = re.search(r'name="next" value="([^"]*)"', locked.get(asked).text)
        assert shown is not None
        assert unescape(shown[1]) == target == "/films/video/a%20b?x=%20"
        signed_in = locked.post("/films/login", data={"token": TOKEN, "next": target})
        assert signed_in.headers["location"] == target
        elsewhere = {"token": TOKEN, "next": "/admin"}
        assert locked.post("/films/login", data=elsewhere).headers["location"] == "/films/"


def test_after_signing_in_no_link_leads_elsewhere() -> None:
    with open_page(web={"token": TOKEN}) as locked:
        data = {"token": TOKEN, "next": "//evil.example/x"}
        assert locked.post("/login", data=data).headers["location"] == "/"
