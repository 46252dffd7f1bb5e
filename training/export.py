"""Write a trained model as a Hugging Face CLIP folder in float16."""

from __future__ import annotations

from pathlib import Path

from transformers import CLIPImageProcessor, CLIPModel

from training.batches import CLIP_MEAN, CLIP_STD
from training.model import IMAGE_SIZE
from vidsearch.finetuning.checkpoint import write_checkpoint

CHECKPOINT = (
    Path(__file__).resolve().parents[1] / "plugin" / "vidsearch" / "encoders" / "demo_checkpoint"
)


def export(model: CLIPModel, *, tokenizer_folder: Path, folder: Path) -> None:
    """Fill `folder` with weights, configuration, tokenizer and image processor.

    A model card that is there already is left alone: its figures come from `training.measure`.
    """
    processor = CLIPImageProcessor(
        do_resize=True,
        size={"shortest_edge": IMAGE_SIZE},
        resample=3,  # bicubic
        do_center_crop=True,
        crop_size={"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        do_rescale=True,
        rescale_factor=1 / 255,
        do_normalize=True,
        image_mean=list(CLIP_MEAN),
        image_std=list(CLIP_STD),
        do_convert_rgb=True,
    )
    processor.save_pretrained(folder)
    write_checkpoint(model, folder, files_of=tokenizer_folder, half=True)
