"""The pages of the docs and the sources of the packages, as tests of the docs read them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import dedent

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "EXTRAS",
    "FENCE",
    "INLINE",
    "PAGES",
    "ROOT",
    "SOURCES",
    "blocks",
    "each_page",
    "inline_code",
]

ROOT = Path(__file__).resolve().parents[1]
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: Mapping[str, Sequence[str]] = _PROJECT["optional-dependencies"]
"""What each extra of the package brings."""
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        *sorted((ROOT / "docs").glob("*.md")),
        ROOT / "training" / "README.md",
        ROOT / "plugin/vidsearch/encoders/demo_checkpoint/README.md",
    )
}
SOURCES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for folder in ("plugin", "tasks", "mappings", "examples")
    for path in sorted((ROOT / folder).rglob("*.py"))
}

each_page = pytest.mark.parametrize("page", PAGES)

FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
"""Also within a list, where a block is indented."""
INLINE = re.compile(r"`([^`\n]+)`")


def blocks(page: str, *languages: str) -> Iterator[str]:
    """The fenced blocks of a page in these languages; ``""`` is a block that names none."""
    for language, code in FENCE.findall(PAGES[page]):
        if language in languages:
            yield dedent(code)


def inline_code(page: str) -> list[str]:
    return INLINE.findall(FENCE.sub("", PAGES[page]))
