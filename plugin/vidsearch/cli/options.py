"""Options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import click
from click.shell_completion import CompletionItem

__all__ = [
    "Amount",
    "dry_run_option",
    "engine_option",
    "existing_file",
    "file_or_uri",
    "folder_or_uri",
    "json_option",
    "pairs_options",
    "report_option",
    "wait_options",
    "yes_option",
]

_F = TypeVar("_F", bound=Callable[..., Any])


class Amount(click.FloatRange):
    """A number above 0, or from ``min`` on, which ``nan`` is not; ``infinite``: also ``inf``."""

    def __init__(
        self, *, min: float | None = None, max: float | None = None, infinite: bool = False
    ) -> None:
        super().__init__(min=min or 0, min_open=min is None, max=max)
        self._infinite = infinite

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        number = float(super().convert(value, param, ctx))
        if math.isnan(number) or (math.isinf(number) and not self._infinite):
            self.fail(f"{value} is no finite number.", param, ctx)
        return number


class _PathOrUri(click.types.StringParamType):
    """A path, a URI or another name, taken as it is; shells complete it as a path."""

    def __init__(self, kind: Literal["file", "dir"]) -> None:
        self._kind = kind

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type=self._kind)]


file_or_uri = _PathOrUri("file")
folder_or_uri = _PathOrUri("dir")
existing_file = click.Path(exists=True, dir_okay=False, path_type=Path)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
report_option = click.option(
    "--report",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Write one HTML page with tables and plots, which needs no other file.",
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Show what would be done, and do nothing."
)
engine_option = click.option(
    "--engine",
    type=click.Choice(["elasticsearch", "opensearch"]),
    default="elasticsearch",
    show_default=True,
    help="Search engine.",
)
_wait_option = click.option(
    "--wait",
    is_flag=True,
    help="Wait until all videos are ingested, and searches find them; exit code 1 if any failed.",
)
_timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="With --wait: maximum number of seconds to wait.",
)


def wait_options(command: _F) -> _F:
    """Adds ``--wait`` and ``--timeout``."""
    return _wait_option(_timeout_option(command))


def pairs_options(*, required: bool, layout: str) -> Callable[[_F], _F]:
    """Adds ``--csv``, ``--format`` and ``--videos``; ``layout``: the help of the second."""
    csv = click.option(
        "--csv",
        "captions",
        required=required,
        type=existing_file,
        metavar="FILE",
        help="File of captions; what is in it is said by --format.",
    )
    format_ = click.option(
        "--format",
        "format_",
        type=click.Choice(["webvid", "msrvtt", "msvd", "didemo", "plain"]),
        default="plain",
        show_default=True,
        help=layout,
    )
    videos = click.option(
        "--videos",
        required=required,
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        metavar="FOLDER",
        help="Folder of the video files, which may lie in folders below.",
    )
    return lambda command: csv(format_(videos(command)))
