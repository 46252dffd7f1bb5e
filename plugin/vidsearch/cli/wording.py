"""Messages of the library in the words of the command line: ``from_`` there is ``--from`` here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from vidsearch.errors import ModelUnavailableError, QueryError, SourceUnavailableError

__all__ = ["in_options"]

# Names of arguments: anywhere those that are no English words, others only where a message speaks
# of the argument. A name of a file or a field stands in quotes, or has other signs around it.
_NAMES = re.compile(
    r"(?<![\w./'-])(from_|min_cosine|merge_gap)(?![\w./'-])"
    r"|^(k|at|gap|moments|diversity|collapse|level|mode|fusion|image|clip|like|vector|filter|"
    r"source|highlight)(?=: | must | has | holds | cuts | on '| clause ')"
    r"|(?<=, see its )(filter)(?=: )"
)
_VALUES = re.compile(
    r"(?<![\w./'-])(mode|level|fusion)="
    r"(hybrid|vector|keyword|segment|video|both|rrf|linear|sum|native|native_rrf)\b(?!\.\w)"
)


@contextmanager
def in_options() -> Iterator[None]:
    """Raise what is wrong with a search with the names of the options for those of arguments."""
    try:
        yield
    except (QueryError, SourceUnavailableError, ModelUnavailableError) as error:
        message = _NAMES.sub(lambda found: _option(found[0]), str(error))
        message = _VALUES.sub(lambda found: f"{_option(found[1])} {found[2]}", message)
        raise type(error)(message) from error


def _option(name: str) -> str:
    return "-k" if name == "k" else f"--{name.strip('_').replace('_', '-')}"
