"""The documents of an attached index, which its application writes while they are copied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from vidsearch.engines import Engine
from vidsearch.engines.guarded import guarded
from vidsearch.index.copy_documents import copy_documents
from vidsearch.index.follow import Following
from vidsearch.index.following import Follower
from vidsearch.index.targets import open_concrete
from vidsearch.index.videos_index import VideosIndex
from vidsearch.reindex import indices
from vidsearch.reindex.run import ReindexRun
from vidsearch.reindex.steps import Held, Report

__all__ = ["AttachedDocuments", "Check", "following"]


class Check(Protocol):
    """The check before the swap."""

    def __call__(
        self,
        run: ReindexRun,
        source: VideosIndex,
        target: VideosIndex,
        problems: Sequence[str],
        /,
        *,
        pause: Callable[[float], object] = ...,
    ) -> Report:
        """Compare the target with the source; ``pause`` is called before a difference is looked at
        again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedDocuments:
    """Implements :class:`~vidsearch.reindex.steps.Documents`.

    Nobody but this writes to the target before the swap: workers write the object ``video`` into
    documents of the source, and that is brought to the target as all that the application writes.
    """

    engine: Engine
    checked: Check
    _changes: dict[tuple[str, bool], tuple[Held, Follower]] = field(default_factory=dict)

    def total(self, run: ReindexRun) -> int:
        """See :class:`~vidsearch.reindex.steps.Documents`."""
        return self.engine.count(run.source)

    def fill(self, run: ReindexRun, *, held: Held, told: Callable[[int], None]) -> bool:
        """See :class:`~vidsearch.reindex.steps.Documents`.

        Raises:
            ReindexError: the source or the target was created anew since.
        """
        indices.refuse_another(self.engine, run, run.source, run.target)
        copy_documents(
            guarded(self.engine, held),
            run.source,
            run.target,
            keep_versions=True,
            throttle=run.throttle,
            progress=lambda done, total: told(done),
        )
        return True

    def catch_up(self, run: ReindexRun, *, held: Held, back: bool = False) -> bool:
        """See :class:`~vidsearch.reindex.steps.Documents`; until a pass is a small one.

        Raises:
            MappingConflictError: the application writes faster than this follows.
        """
        self.changes(run, held=held, back=back).until_small()
        return True

    def tried_again(self, run: ReindexRun) -> str | None:
        """Nothing: workers are not asked for documents."""
        return None

    def waits_for(self, run: ReindexRun) -> str | None:
        """Nothing: workers are not asked for documents."""
        return None

    def changes(self, run: ReindexRun, *, held: Held, back: bool = False) -> Follower:
        """What changes in the source, for the target; ``back``: in the target since the swap, for
        the source. ``held``: see :class:`~vidsearch.reindex.steps.Documents`.

        Raises:
            ReindexError: one of them was created anew since, and numbers its writes from 0 on.
        """
        indices.refuse_another(self.engine, run, run.source, run.target)
        key = run.id, back
        if (made := self._changes.get(key)) is not None:
            under, changes = made
            if under == held:
                return changes
            changes.close()  # of a lease that has ended
        ends = (run.target, run.source) if back else (run.source, run.target)
        changes = following(run).follower(
            guarded(self.engine, held),
            *ends,
            since=run.marks["target" if back else "source"],
            without=open_concrete(self.engine, run.source, alias=run.alias).field,
            alias=run.alias,
        )
        self._changes[key] = held, changes
        return changes

    def check(self, run: ReindexRun, *, held: Held) -> Report:
        """See :class:`~vidsearch.reindex.steps.Documents`."""
        source, target = (
            open_concrete(self.engine, name, alias=run.alias) for name in (run.source, run.target)
        )
        changes = self.changes(run, held=held)
        # A difference that is none after another pass is what the application wrote meanwhile.

        def pass_by(seconds: float) -> None:
            for _ in range(2):  # the second one is short, so that little is written before the look
                changes.run(last=True)

        return self.checked(run, source, target, [], pause=pass_by)

    def lost(self, run: ReindexRun) -> tuple[str, ...]:
        """Nothing: workers are not asked for documents."""
        return ()

    def reopen(self, run: ReindexRun) -> None:
        """No video: workers are not asked for documents."""

    def retry(self, run: ReindexRun) -> None:
        """Nothing: workers are not asked for documents."""

    def end(self, run: ReindexRun) -> None:
        """Free what the cluster keeps for the passes."""
        for key in [key for key in self._changes if key[0] == run.id]:
            _, changes = self._changes.pop(key)
            changes.close()


def following(run: ReindexRun) -> Following:
    """How the changes of an index are found in a run."""
    return Following(by=run.followed_by, field=run.changed_field)
