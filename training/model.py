"""The tiny CLIP model, its start values and the attribute heads that are thrown away."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPVisionConfig

from vidsearch.demo.scenes import ATTRIBUTES, VALUES

IMAGE_SIZE = 64
PATCH_SIZE = 8
PROJECTION = 512
MAX_TOKENS = 77


def clip_config(*, vocabulary: int, hidden: int = 128, layers: int = 4) -> CLIPConfig:
    """The checkpoint's configuration; the last two tokens are the start and the end of text."""
    start, end = vocabulary - 2, vocabulary - 1
    text = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=MAX_TOKENS,
        projection_dim=PROJECTION,
        bos_token_id=start,
        eos_token_id=end,
        pad_token_id=end,
    )
    vision = CLIPVisionConfig(
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=2,
        image_size=IMAGE_SIZE,
        patch_size=PATCH_SIZE,
        projection_dim=PROJECTION,
    )
    return CLIPConfig(
        text_config=text.to_dict(),
        vision_config=vision.to_dict(),
        projection_dim=PROJECTION,
    )


def new_model(config: CLIPConfig) -> CLIPModel:
    """A model with start values that suit a very small vision tower.

    Patches start as cosine transforms and positions as sines: both spare the model thousands of
    steps of finding out that neighbouring pixels belong together.
    """
    model = CLIPModel(config)
    embeddings = model.vision_model.embeddings
    with torch.no_grad():
        weight = embeddings.patch_embedding.weight
        weight.copy_(_cosine_filters(weight.shape[0], weight.shape[-1]))
        grid = IMAGE_SIZE // PATCH_SIZE
        positions = embeddings.position_embedding.weight
        positions[1:].copy_(_sine_positions(grid, positions.shape[1]))
        positions[0].zero_()
        for layer in [*model.vision_model.encoder.layers, *model.text_model.encoder.layers]:
            for linear in (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj):
                nn.init.xavier_uniform_(linear.weight)
            for linear in (layer.self_attn.out_proj, layer.mlp.fc1, layer.mlp.fc2):
                nn.init.xavier_uniform_(linear.weight, gain=0.7)
        model.logit_scale.fill_(math.log(10.0))
    return model


def _cosine_filters(number: int, size: int) -> Tensor:
    """`[number, 3, size, size]`: low frequencies first, in brightness and two colour axes."""
    steps = (torch.arange(size) + 0.5) / size
    waves = torch.stack([torch.cos(math.pi * k * steps) for k in range(size)])
    waves = waves / waves.norm(dim=1, keepdim=True)
    colours = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [-0.5, 1.0, -0.5]])
    colours = colours / colours.norm(dim=1, keepdim=True)
    order = sorted(
        (u + v + (0 if c == 0 else 2), c, u, v)
        for c in range(3)
        for u in range(size)
        for v in range(size)
    )
    filters = torch.stack(
        [
            colours[c][:, None, None] * torch.outer(waves[u], waves[v])
            for _, c, u, v in (order * (number // len(order) + 1))[:number]
        ]
    )
    # The first filters answer far more strongly than the last: raise the fine ones.
    scale = torch.tensor([0.15 * (1 + 0.5 * total) for total, *_ in order])
    return filters * scale.repeat(number // len(order) + 1)[:number, None, None, None]


def _sine_positions(grid: int, width: int) -> Tensor:
    """`[grid * grid, width]` two-dimensional sine and cosine positions, row by row."""
    quarter = width // 4
    rates = math.pi / grid * 2 ** torch.linspace(-1, 2.5, quarter)
    angle = torch.arange(grid)[:, None] * rates
    line = torch.cat([angle.sin(), angle.cos()], dim=1)
    rows = line[:, None].expand(grid, grid, -1)
    columns = line[None].expand(grid, grid, -1)
    return 0.4 * torch.cat([rows, columns], dim=2).reshape(grid * grid, width)


class AttributeHeads(nn.Module):
    """One linear classifier per attribute over the pooled vision output; training only."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(hidden, len(VALUES[name])) for name in ATTRIBUTES)

    def forward(self, pooled: Tensor) -> list[Tensor]:
        """Logits `[batch, values]` for each attribute, in the order of `ATTRIBUTES`."""
        return [head(pooled) for head in self.heads]
