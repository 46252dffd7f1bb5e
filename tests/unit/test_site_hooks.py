"""Pages of the repository become pages of the site: their links, and their lists."""

from __future__ import annotations

import runpy
from types import SimpleNamespace
from typing import Any

import pytest
from tests.docs_pages import ROOT

pytest.importorskip("mkdocs")
HOOKS = runpy.run_path(str(ROOT / "scripts/site_hooks.py"))


def in_site(at: str, markdown: str) -> str:
    page: Any = SimpleNamespace(file=SimpleNamespace(src_uri=at))
    text: str = HOOKS["on_page_markdown"](markdown, page, None, None)
    return text


@pytest.mark.parametrize(
    ("at", "link", "expected"),
    [
        ("search.md", "media.md#segments", "media.md#segments"),
        ("search.md", "../CONTRIBUTING.md#glossary", "contributing.md#glossary"),
        ("search.md", "../examples/fastapi_app.py", "source/examples/fastapi_app.py.md"),
        ("index.md", "docs/search.md#fusion", "search.md#fusion"),
        ("index.md", "docs/demo.svg", "demo.svg"),
        ("demo-checkpoint.md", "../docs/finetuning.md", "finetuning.md"),
        ("search.md", "#fusion", "#fusion"),
        ("search.md", "https://a.example/docs/search.md", "https://a.example/docs/search.md"),
        ("search.md", "nowhere.md", "nowhere.md"),
    ],
)
def test_links_lead_to_pages_of_the_site(at: str, link: str, expected: str) -> None:
    assert in_site(at, f"See [this]({link}).") == f"See [this]({expected})."


def test_code_is_left_alone() -> None:
    block = "```\n[x](docs/search.md)\ntext\n- no list\n```"
    assert in_site("index.md", block) == block


def test_a_list_right_after_text_is_a_list() -> None:
    assert in_site("search.md", "**Some:**\n- one\n- two\n  more\n- three\n") == (
        "**Some:**\n\n- one\n- two\n  more\n- three\n"
    )
