"""Messages without the folders of files, which tell how a server is set up."""

from __future__ import annotations

import re

__all__ = ["without_folders"]

_QUOTE = r"""(?<=\w)['"](?=\w)"""
"""Quotes and brackets are part of a name inside of it only."""
_LETTER = rf"""(?: [^\s\\/.'"<>():,;] | {_QUOTE} | \((?=\w) | (?<=\w)\)(?=[ \\/]) )"""
# What a path may have in front; then folders. A slash begins one where it is not that of a URL, a
# fraction or a closing tag. A folder with a space in its name has no dot: what ends with a suffix
# is the file, and a sentence goes on. No folder begins with ":", "," or ";", as no file does: else
# a long text of slashes and commas would be read from each of them to its end.
_ABSOLUTE = re.compile(
    rf"""(?:
      (?<![\w:/.<])(?:file:(?://(?:localhost)?)?)?/
    | (?<!\w)[A-Za-z]:[\\/]+ | (?<![\w\\])\\{{2,}}
    )
    (?:(?:
        (?![:,;]) (?: [^\s\\/'"<>] | {_QUOTE} )+
      | {_LETTER}+ (?: [ ] {_LETTER}+ )+
    )[\\/]+)+
    (?=[^\s\\/'":,;<>])""",
    re.VERBOSE,
)
# Only in front of what has a suffix, as video/mp4 and either/or are no paths.
_RELATIVE = re.compile(
    r"""(?<![^\s'"(,;])(?:[\w.+~%-]+[\\/])+
    (?=[^\s\\/'":,;<>()]+\.[A-Za-z]\w{1,4}\b)""",
    re.VERBOSE,
)


def without_folders(text: str) -> str:
    """A message without the folders of files: ``/srv/videos/a.mp4`` becomes ``…/a.mp4``.

    So do ``videos/a.mp4`` and ``C:\\videos\\a.mp4``. URLs stay as they are.
    """
    return _RELATIVE.sub("…/", _ABSOLUTE.sub("…/", text))
