"""docs/api.md: every public name, with what its docstring says, in Markdown."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

import vidsearch
import vidsearch_tasks
from vidsearch import encoders, engines, errors, index, reindex, search

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = runpy.run_path(str(ROOT / "scripts/api_reference.py"))
PAGE = (ROOT / "docs/api.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^### (\w+)\n\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize(
    "module",
    [vidsearch, vidsearch_tasks, search, reindex, encoders, engines, index],
    ids=lambda module: module.__name__,
)
def test_every_public_name_is_there_with_a_text(module: object) -> None:
    names = set(module.__all__) - {"__version__", "app"}  # type: ignore[attr-defined]
    assert names - SECTIONS.keys() == set()
    told = {name: re.sub(r"```text.*?```", "", SECTIONS[name], flags=re.DOTALL) for name in names}
    # The modes are described where they are an argument.
    assert {name for name, text in told.items() if not text.strip()} <= {"Mode"}


def test_the_classes_for_frameworks_are_there_each_under_its_module() -> None:
    sections = dict(re.findall(r"^## ([\w.]+)\n\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
    named = {
        name.removeprefix("vidsearch.contrib."): set(re.findall(r"^### (\w+)", text, re.MULTILINE))
        for name, text in sections.items()
        if name.startswith("vidsearch.contrib.")
    }
    assert named == {
        "django.models": {"VideoManager", "VideoModel", "VideoQuerySet"},
        "django.search": {"VideoMatches"},
        "django.admin": {"VideoAdmin"},
        **{name: {"VideoRetriever"} for name in ("langchain", "haystack", "llamaindex")},
        "passages": {"Passage"},
    }
    assert "top_k: int = 10" in sections["vidsearch.contrib.haystack"]
    assert "- `k: int = 10`: Maximum number of" in sections["vidsearch.contrib.langchain"]
    assert "#### VideoModel.vidsearch_uri" in sections["vidsearch.contrib.django.models"]


def test_every_method_has_a_text() -> None:
    bare = r"^#### (\S+)\n\n```text\n[^`]*```\n\n(?=#|\Z)"
    assert re.findall(bare, PAGE, re.MULTILINE) == []


def test_every_error_is_in_the_table() -> None:
    kinds = set(re.findall(r"^\| `(\w+)` \| `\w+` \| \w+ \| \S", PAGE, re.MULTILINE))
    assert kinds == set(errors.__all__) - {"Fault"}


def test_signatures_hold_names_types_and_defaults() -> None:
    assert "    priority: Priority = 'interactive',\n" in SECTIONS["register_video"]
    assert "load_settings(**overrides: Any) -> Settings\n" in SECTIONS["load_settings"]
    assert "- `cosine: float`: Between the query and" in SECTIONS["Moment"]
    assert "- `at: float | None = None`: With `like`: " in SECTIONS["SearchRequest"]
    assert "- `owner: str | None = None`\n" in SECTIONS["VideoRecord"]
    assert "`registered`, `queued`, " in SECTIONS["State"]
    assert "Annotated[" not in PAGE
    assert "\nwith videos_in_process(\n" in PAGE


def test_references_are_links_where_the_page_describes_what_they_name() -> None:
    page = """### Hit

#### Hit.to_dict

:class:`~vidsearch.search.Hit`, :meth:`vidsearch.search.Hit.to_dict`
:meth:`to_dict`, :func:`~os.walk`"""
    assert SCRIPT["linked"](page).splitlines()[-2:] == [
        "[`Hit`](#hit), [`vidsearch.search.Hit.to_dict`](#hitto_dict)",
        "[`to_dict`](#hitto_dict), `walk`",
    ]


def test_a_docstring_becomes_markdown() -> None:
    doc = """Finds a thing; see :mod:`vidsearch`.

    ``k`` best::

        find(1)

        find(2)

    - ``a``: first,
      and last.

    ::

        find(3)

    Args:
        k: how many,
            at most.
        a, b: two.

    Returns:
        Those.

    Raises:
        QueryError, ConfigError: it is wrong.
    """
    assert SCRIPT["markdown_of"](doc).splitlines() == [
        *("Finds a thing; see :mod:`vidsearch`.", ""),
        *("`k` best:", "", "```text", "find(1)", "", "find(2)", "```", ""),
        *("- `a`: first,", "  and last.", "", "```text", "find(3)", "```", ""),
        *("**Args**", "", "- `k`: how many,", "  at most.", "- `a`, `b`: two.", ""),
        *("**Returns**", "", "Those.", ""),
        *("**Raises**", "", "- `QueryError`, `ConfigError`: it is wrong."),
    ]
