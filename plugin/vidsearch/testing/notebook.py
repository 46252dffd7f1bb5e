"""The usual notebook recipe for CLIP4Clip, written independently of ours: the reference.

Seek to every whole second by frame number with OpenCV, Pillow's bicubic resize and centre crop as
torchvision's Compose does them, CLIP's mean and deviation, transformers' vision tower, unit frame
vectors, their mean, unit again. Tests compare vectors with it, benchmarks compare cost.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["notebook_embedding", "notebook_frames", "notebook_pixels"]

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)


def notebook_frames(path: Path) -> list[NDArray[np.uint8]]:
    """One RGB frame ``(height, width, 3)`` per second; right at whole, constant frame rates."""
    import cv2

    video = cv2.VideoCapture(str(path))
    rate = round(video.get(cv2.CAP_PROP_FPS))
    count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    frames = []
    for number in range(0, count, rate):
        video.set(cv2.CAP_PROP_POS_FRAMES, number)
        found, frame = video.read()
        if not found:
            break
        frames.append(np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), dtype=np.uint8))
    video.release()
    return frames


def notebook_pixels(frames: list[NDArray[np.uint8]], *, size: int) -> Any:
    """A float32 tensor ``(n, 3, size, size)``."""
    import torch
    from PIL import Image

    mean = torch.tensor(_MEAN).view(3, 1, 1)
    std = torch.tensor(_STD).view(3, 1, 1)
    tensors = []
    for frame in frames:
        image = Image.fromarray(frame)
        width, height = image.size
        scale = size / min(width, height)
        shape = (size, int(height * scale)) if width < height else (int(width * scale), size)
        image = image.resize(shape, Image.Resampling.BICUBIC)
        left = round((image.width - size) / 2.0)
        top = round((image.height - size) / 2.0)
        image = image.crop((left, top, left + size, top + size)).convert("RGB")
        tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div(255)
        tensors.append((tensor - mean) / std)
    return torch.stack(tensors)


def notebook_embedding(tower: Any, pixels: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Unit frame vectors ``(n, dims)`` and the video's unit vector ``(dims,)``.

    Args:
        tower: a ``CLIPVisionModelWithProjection``.
        pixels: what :func:`notebook_pixels` gives.
    """
    import torch

    with torch.no_grad():
        frames = tower(pixel_values=pixels).image_embeds
    frames = frames / frames.norm(dim=-1, keepdim=True)
    video = frames.mean(dim=0)
    return frames.numpy(), (video / video.norm(dim=-1, keepdim=True)).numpy()
