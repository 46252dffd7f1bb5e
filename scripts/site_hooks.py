"""Hooks of mkdocs: the pages of the repository as pages of a site.

Links lead from file to file of the repository, so that they hold there. What they lead to outside
of docs/ becomes a page as well: texts that :data:`OUTSIDE` names, and files of code as they are.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "training/README.md": "demo-checkpoint.md",
    "plugin/vidsearch/encoders/demo_checkpoint/README.md": "demo-model-card.md",
}
"""Pages of the site by texts of the repository that are not in docs/."""

_CODE = re.compile(r"(^ *```.*?^ *```$)", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)\s#]+)")
# GitHub begins a list without an empty line before it, and Python-Markdown does not.
_LIST_AFTER_TEXT = re.compile(r"^(?![-*] |[|>#\s]|\d+\. )(.+)\n(?=(?:[-*]|\d+\.) )", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """With what lies outside of docs/."""
    sources = {f"docs/{each.src_uri}": each.abs_src_path for each in files.documentation_pages()}
    for name, page in OUTSIDE.items():
        sources[name] = str(ROOT / name)
        files.append(File.generated(config, page, abs_src_path=str(ROOT / name)))
    for source, path in sources.items():
        for target in _targets(Path(str(path)).read_text(encoding="utf-8"), source):
            page = _page_of(target)
            if page.startswith("source/") and files.get_file_from_path(page) is None:
                level = InclusionLevel.NOT_IN_NAV
                text = _page_of_code(target)
                files.append(File.generated(config, page, content=text, inclusion=level))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """With links that lead from page to page of the site."""
    at = page.file.src_uri
    if at.startswith("source/"):
        return markdown
    source = next((name for name, path in OUTSIDE.items() if path == at), f"docs/{at}")

    def link(found: re.Match[str]) -> str:
        target = _resolved(found[1], source)
        if not (ROOT / target).is_file():
            return found[0]  # mkdocs says that it leads nowhere
        return f"]({posixpath.relpath(_page_of(target), posixpath.dirname(at))}"

    return _in_text(markdown, lambda text: _LIST_AFTER_TEXT.sub(r"\1\n\n", _LINK.sub(link, text)))


def _in_text(markdown: str, change: Callable[[str], str]) -> str:
    """The page with its text changed and its blocks of code left alone."""
    parts = _CODE.split(markdown)
    return "".join(part if at % 2 else change(part) for at, part in enumerate(parts))


def _targets(markdown: str, source: str) -> Iterator[str]:
    """Files of the repository that a page links to."""
    for part in _CODE.split(markdown)[::2]:
        for link in _LINK.findall(part):
            target = _resolved(link, source)
            if (ROOT / target).is_file():
                yield target


def _resolved(link: str, source: str) -> str:
    """The file that a link of a file means, from the root of the repository."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def _page_of(file: str) -> str:
    """Where a file of the repository is in the site."""
    if file in OUTSIDE:
        return OUTSIDE[file]
    return file.removeprefix("docs/") if file.startswith("docs/") else f"source/{file}.md"


def _page_of_code(file: str) -> str:
    language = Path(file).suffix.removeprefix(".")
    text = (ROOT / file).read_text(encoding="utf-8")
    return f"# {Path(file).name}\n\n`{file}`\n\n````{language}\n{text.rstrip()}\n````\n"
