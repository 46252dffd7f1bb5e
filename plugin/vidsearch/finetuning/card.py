"""The model card of a fine-tuned checkpoint: what it was made of, how, and how well it finds."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from vidsearch import __version__
from vidsearch.encoders.checkpoint import Checkpoint
from vidsearch.evaluation import PairRow, Pairs
from vidsearch.evaluation.pairs_report import figure_cell
from vidsearch.finetuning.plan import Plan
from vidsearch.finetuning.run import Outcome

__all__ = ["Card"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Card:
    """All that the card says."""

    base: Checkpoint
    """What was trained on."""
    data: str
    """Name of the file of captions."""
    train: Pairs
    validation: Pairs
    test: Pairs | None
    digest: str
    """Of the captions and the videos that were trained on."""
    sampling: str
    """Which frames, as an identity names it."""
    precision: str
    plan: Plan
    outcome: Outcome
    rows: Sequence[PairRow]
    """Before and after, measured as a worker and a search would embed."""

    def text(self) -> str:
        """The card as Markdown, with the header that the Hugging Face hub reads."""
        measured_on = "validation" if self.test is None else "test"
        caveat = (
            " The validation split chose the epoch, so these figures flatter the model a little; "
            "a test split would not."
            if self.test is None
            else " No part of it was trained on, or chose anything."
        )
        return "\n".join(
            [
                *self._header(),
                "",
                f"# {self._base_name}, fine-tuned",
                "",
                "Trained with the parameter-free form of CLIP4Clip (arXiv 2104.08860): the vector",
                "of a video is the mean of the unit vectors of its frames, made unit again;",
                "symmetric cross-entropy over the similarities of a batch.",
                "",
                f"## Figures on the {measured_on} split",
                "",
                *self._table(),
                "",
                "R@k in per cent. MedianR and MeanR: median and mean rank of the first right item.",
                "In brackets: 95 % of bootstrap samples of the videos. Measured through files, as",
                f"vidsearch embeds them.{caveat}",
                "",
                "## Data",
                "",
                f"- Captions: `{self.data}`; SHA-256 of what was trained on: `{self.digest}`",
                *self._splits(),
                "",
                "## Settings",
                "",
                f"- Base: `{self._base_name}`, revision `{self.base.revision}`",
                f"- vidsearch {__version__}{_commit()}",
                f"- Frames: {self.sampling}, at most {self.plan.frames} per video, evenly spread",
                f"- Precision: {self.precision}",
                *(f"- {name}: {value}" for name, value in asdict(self.plan).items()),
                "",
                "## Epochs",
                "",
                *self._epochs(),
                "",
            ]
        )

    @property
    def _base_name(self) -> str:
        # A folder's path is of no use to who reads the card elsewhere.
        return self.base.folder.name if self.base.name == "local" else self.base.name

    def _header(self) -> list[str]:
        family = self.base.config["model_type"]
        header = ["---", "library_name: transformers"]
        if "/" in self.base.name:
            header.append(f"base_model: {json.dumps(self.base.name)}")
        return [*header, f"tags: [{family}, clip4clip, text-to-video, vidsearch]", "---"]

    def _table(self) -> list[str]:
        names = list(self.rows[0].figures)
        lines = [
            f"| direction | model | {' | '.join(names)} | p (R@1) |",
            "|---|---|" + "---|" * (len(names) + 1),
        ]
        for row in self.rows:
            cells = [figure_cell(n, f).replace("\n", " ") for n, f in row.figures.items()]
            p = "" if row.differences is None else f"{row.differences['R@1'].p:.4f}"
            lines.append(f"| {row.direction} | {row.model} | {' | '.join(cells)} | {p} |")
        return lines

    def _splits(self) -> list[str]:
        sides = (("train", self.train), ("validation", self.validation), ("test", self.test))
        return [
            f"- {name}: {len(side.captions)} captions of {len(side.videos)} videos"
            for name, side in sides
            if side is not None
        ]

    def _epochs(self) -> list[str]:
        lines = ["| epoch | loss | R@1, validation | mean rank | |", "|---|---|---|---|---|"]
        for epoch in self.outcome.epochs:
            loss = "" if epoch.loss is None else f"{epoch.loss:.4f}"
            kept = "kept" if epoch.number == self.outcome.best else ""
            recall = f"{100 * epoch.recall:.2f}"
            lines.append(f"| {epoch.number} | {loss} | {recall} | {epoch.mean_rank:.2f} | {kept} |")
        return lines


def _commit() -> str:
    """Which commit of vidsearch, where it runs from a checkout of its own."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()

    try:
        # Installed packages may lie within a checkout of something else.
        git("ls-files", "--error-unmatch", Path(__file__).name)
        changed = ", with changes" if git("status", "--porcelain", "--", ".") else ""
        return f", commit `{git('rev-parse', 'HEAD')}`{changed}"
    except (OSError, subprocess.SubprocessError):
        return ""
