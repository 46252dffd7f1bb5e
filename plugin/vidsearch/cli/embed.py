"""``vidsearch embed``: the bare unit vector of a text or a video."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidsearch.cli import output
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
@output.json_option
def text(text: str, out: Path | None, as_json: bool) -> None:
    """The vector of TEXT."""
    if not text.strip():
        raise QueryError("the text is empty; there is nothing to embed")
    from vidsearch.encoders import load_encoder

    settings = output.settings()
    encoder = load_encoder(settings.model, settings.ingest)
    tokens = encoder.count_tokens(text)
    if tokens > encoder.context_length:
        output.talk(
            f"The text has {tokens} tokens; the model reads the first {encoder.context_length}."
        )
    vector = encoder.encode_text([text])[0]
    _show(vector, {"text": text, "tokens": tokens}, encoder.identity, out=out, as_json=as_json)


@embed.command()
@click.argument("uri", metavar="FILE")
@_out_option
@output.json_option
def video(uri: str, out: Path | None, as_json: bool) -> None:
    """The vector of the video FILE (a path or a URI): the unit mean of its frames."""
    from vidsearch.embeddings.pipeline import embed_video
    from vidsearch.embeddings.segment_policy import SegmentPolicy
    from vidsearch.encoders import load_encoder
    from vidsearch.media import MediaLimits, fetch, open_reader, public_uri

    settings = output.settings()
    encoder = load_encoder(settings.model, settings.ingest)
    reader = open_reader(settings.ingest, limits=MediaLimits.of(settings.sources))
    with fetch(uri, settings=settings.sources) as file, closing(reader):
        embedding = embed_video(
            file.path,
            reader=reader,
            encoder=encoder,
            moments=SegmentPolicy.of(settings.index),
            rate=settings.ingest.fps,
            sampling=settings.ingest.sampling,
            batch_size=settings.model.batch_size,
        )
    about = {
        "uri": public_uri(uri),
        "duration": round(embedding.duration, 3),
        "frames": embedding.frames,
        "damaged": embedding.damaged,
    }
    _show(embedding.vector, about, encoder.identity, out=out, as_json=as_json)


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
        values = [float(value) for value in vector]
        output.print_json({**about, "model": model.to_meta(), "vector": values})
        return
    first = " ".join(f"{value:+.4f}" for value in vector[:6])
    rows = [
        *about.items(),
        ("model", model),
        ("dims", vector.size),
        ("norm", f"{float(np.linalg.norm(vector)):.6f}"),
        ("first values", f"{first} …"),
    ]
    output.print_table(("what", "value"), rows, whole=("what",))
