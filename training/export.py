"""Write a trained model as a Hugging Face CLIP folder in float16."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

from transformers import CLIPImageProcessor, CLIPModel

from training.batches import CLIP_MEAN, CLIP_STD
from training.model import IMAGE_SIZE

CHECKPOINT = (
    Path(__file__).resolve().parents[1] / "plugin" / "vidsearch" / "encoders" / "demo_checkpoint"
)
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt")


def export(model: CLIPModel, *, tokenizer_folder: Path, folder: Path) -> None:
    """Fill `folder` with weights, configuration, tokenizer and image processor.

    A model card that is there already is left alone: its figures come from `training.measure`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    half = copy.deepcopy(model).half()  # type: ignore[no-untyped-call]
    half.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
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
    for name in _TOKENIZER_FILES:
        shutil.copyfile(tokenizer_folder / name, folder / name)
