"""The long description of the package, which a package index shows: the README.

An index knows no file beside it. Links and pictures of the README that name one are taken from the
repository where ``project.urls`` of pyproject.toml has a ``Source``; without it links become plain
text, and pictures and the last section, a list of links, are left out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_CODE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(!?)\[((?:[^\[\]`]|`[^`\n]*`)*)\]\((?!https?://)([^()\s]+)\)")


class ReadmeHook(MetadataHookInterface):
    """Called by hatchling for the wheel and the sdist."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set ``readme``."""
        readme = (Path(self.root) / "README.md").read_text("utf-8")
        text = long_description(readme, source=metadata.get("urls", {}).get("Source"))
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def long_description(readme: str, *, source: str | None) -> str:
    """The README with links that lead somewhere from elsewhere, too.

    Args:
        readme: in Markdown; its links are relative to the root of the repository.
        source: URL of the repository, as GitHub and GitLab have it.
    """

    def outside(found: re.Match[str]) -> str:
        picture, text, target = found.groups()
        if source is None:
            return "" if picture else text
        if target.startswith("#"):
            target = f"README.md{target}"
        kind = "raw" if picture else "blob"
        return f"{picture}[{text}]({source.rstrip('/')}/{kind}/HEAD/{target})"

    if source is None:
        readme = readme.partition("\n## More\n")[0]
    parts = _CODE.split(readme)
    parts[::2] = [re.sub(r"\n{3,}", "\n\n", _LINK.sub(outside, part)) for part in parts[::2]]
    return "".join(parts)
