"""``vidsearch check``: each part in turn, with what to do about the first that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import click

from vidsearch.cli import output
from vidsearch.errors import VidsearchError

if TYPE_CHECKING:
    from vidsearch.config import Settings
    from vidsearch.encoders import Encoder
    from vidsearch.engines import Engine

__all__ = ["check"]


@dataclass(frozen=True, slots=True)
class _Finding:
    """The outcome for one part."""

    part: str
    ok: bool
    detail: str


@click.command()
@output.json_option
def check(as_json: bool) -> None:
    """Check the cluster, the index, the model and the broker, one by one.

    Writes nothing. Exit code 1 if any part is not as it should be.
    """
    findings = list(_findings(_Parts(output.settings())))
    if as_json:
        output.print_json([asdict(finding) for finding in findings])
    else:
        rows = [(f.part, "ok" if f.ok else "FAILED", f.detail) for f in findings]
        output.print_table(("part", "state", "detail"), rows)
    if not all(finding.ok for finding in findings):
        raise SystemExit(1)


class _Parts:
    """The parts, built when first asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def engine(self) -> Engine:
        from vidsearch.engines import connect

        return connect(self.settings.engine)

    @cached_property
    def encoder(self) -> Encoder:
        from vidsearch.encoders import load_encoder

        return load_encoder(self.settings.model, rate=self.settings.ingest.fps)

    def check_engine(self) -> str:
        return str(self.engine.info())

    def check_model(self) -> str:
        vectors = self.encoder.encode_text(["a red circle"])
        return f"{self.encoder.identity}; embeds text to {vectors.shape[1]} dims"

    def check_index(self) -> str:
        from vidsearch.ingest import open_videos_index

        index = open_videos_index(self.engine, self.settings.index)
        index.require_model(self.encoder.identity)
        return f"{index.alias} -> {index.name}, {index.count()} videos, same model"

    def check_broker(self) -> str:
        from vidsearch_tasks import broker_state

        state = broker_state(self.settings)
        if not state.workers:
            raise VidsearchError(
                f"{state.url} answers, but no worker does. "
                "Start one: celery -A vidsearch_tasks worker"
            )
        return f"{state.url}, {state.queued} queued, workers: {', '.join(state.workers)}"


def _findings(parts: _Parts) -> Iterator[_Finding]:
    steps: tuple[tuple[str, Callable[[], str], tuple[str, ...]], ...] = (
        ("engine", parts.check_engine, ()),
        ("model", parts.check_model, ()),
        ("index", parts.check_index, ("engine", "model")),
        ("broker", parts.check_broker, ()),
    )
    bad: set[str] = set()
    for part, step, needs in steps:
        missing = [need for need in needs if need in bad]
        if missing:
            finding = _Finding(part, False, f"not checked: {' and '.join(missing)} failed")
        else:
            try:
                finding = _Finding(part, True, step())
            except VidsearchError as error:
                finding = _Finding(part, False, str(error))
        if not finding.ok:
            bad.add(part)
        yield finding
