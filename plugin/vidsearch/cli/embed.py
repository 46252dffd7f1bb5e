"""``vidsearch embed``: the bare unit vector of a text or a video."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidsearch.cli import output
from vidsearch.cli.options import file_or_uri, json_option
from vidsearch.config import load_settings
from vidsearch.errors import QueryError, VidsearchError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vidsearch.encoders import ModelIdentity

__all__ = ["embed"]

_out_option = click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE.npy",
    help="Write the vector as a NumPy file.",
)


@click.group()
def embed() -> None:
    """Print the vector of a text or a video."""


@embed.command()
@click.argument("text")
@_out_option
@json_option
def text(text: str, out: Path | None, as_json: bool) -> None:
    """Print the vector of TEXT."""
    if not text.strip():
        raise QueryError("the text is empty; there is nothing to embed")
    from vidsearch.encoders import embedded_texts, load_encoder

    settings = load_settings()
    encoder = load_encoder(settings.model, settings.ingest)
    tokens = encoder.count_tokens(text)
    if tokens > encoder.context_length:
        output.talk(
            f"The text has {tokens} tokens; the model reads the first {encoder.context_length}."
        )
    vector = embedded_texts(encoder, [text])[0]
    _show(vector, {"text": text, "tokens": tokens}, encoder.identity, out=out, as_json=as_json)


@embed.command()
@click.argument("uri", type=file_or_uri, metavar="FILE")
@_out_option
@json_option
def video(uri: str, out: Path | None, as_json: bool) -> None:
    """Print the vector of the video FILE (a path or a URI).

    It is the mean of the vectors of its frames, scaled to unit length.
    """
    from vidsearch.embeddings import embed_uri
    from vidsearch.encoders import load_encoder
    from vidsearch.media import public_uri

    settings = load_settings()
    encoder = load_encoder(settings.model, settings.ingest)
    frames = embed_uri(
        uri,
        encoder=encoder,
        ingest=settings.ingest,
        sources=settings.sources,
        batch_size=settings.model.batch_size,
    )
    about = {
        "uri": public_uri(uri),
        "duration": round(frames.end_seconds, 3),
        "frames": len(frames),
        "damaged": frames.damaged,
    }
    _show(frames.mean(), about, encoder.identity, out=out, as_json=as_json)


def _show(
    vector: NDArray[np.float32],
    about: dict[str, Any],
    model: ModelIdentity,
    *,
    out: Path | None,
    as_json: bool,
) -> None:
    import numpy as np

    if out is not None:
        # Through a file object: given a name, NumPy would append ".npy" to it.
        try:
            with out.open("wb") as file:
                np.save(file, vector)
        except OSError as error:
            raise VidsearchError(f"{out} cannot be written: {error.strerror}") from error
        output.talk(f"Wrote {vector.size} floats to {out}.")
    if as_json:
        output.print_json({**about, "model": model.to_meta(), "vector": vector.tolist()})
        return
    first = " ".join(f"{value:+.4f}" for value in vector[:6])
    norm = f"{float(np.linalg.norm(vector)):.6f}"
    shown = {"model": model, "dims": vector.size, "norm": norm, "first values": f"{first} …"}
    output.print_facts({**about, **shown}, as_json=False)
