"""The usual notebook recipe for CLIP4Clip, written independently of vidsearch's: the reference.

Seek to one frame per second by its number with OpenCV, Pillow's bicubic resize and centre crop as
torchvision's Compose does them, CLIP's mean and deviation, transformers' vision tower, unit frame
vectors, their mean, unit again. Tests compare vectors with it, benchmarks compare cost.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["cv2_frames", "notebook_embedding", "notebook_frames", "notebook_pixels"]

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)


def notebook_frames(path: Path, *, rate: float = 1.0) -> list[NDArray[np.uint8]]:
    """RGB frames ``(height, width, 3)``, ``rate`` per ``int(fps)`` frames of the video.

    The arithmetic is the notebook's: a frame rate of 29.97 counts as 29, and the header's number of
    frames says where to stop. Right at constant frame rates.
    """
    import cv2

    video = cv2.VideoCapture(str(path))
    count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    fps = int(video.get(cv2.CAP_PROP_FPS))
    seconds = (count + fps - 1) // fps
    frames = []
    for number in np.floor(np.arange(0, seconds * fps, fps / rate)):
        video.set(cv2.CAP_PROP_POS_FRAMES, number)
        found, frame = video.read()
        if not found:
            break
        frames.append(np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), dtype=np.uint8))
    video.release()
    return frames


def cv2_frames(path: Path) -> list[NDArray[np.uint8]]:
    """Every frame of a file in order, RGB ``(height, width, 3)``: a plain loop over OpenCV."""
    import cv2

    video = cv2.VideoCapture(str(path))
    frames = []
    while True:
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
