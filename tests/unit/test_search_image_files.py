"""Files of images as queries: which formats are read."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from vidsearch.errors import QueryError
from vidsearch.search.query_vector import MediaInput
from vidsearch.testing.fake_encoder import FakeEncoder

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n"


def iptc(inside: bytes) -> bytes:
    """An IPTC file of 8 x 8 pixels around a file that it calls a JPEG."""
    number = (8).to_bytes(4, "big")
    fields = [
        *((3, 60, b"\1\0"), (3, 20, number), (3, 30, number), (3, 120, b"\0\0\0\5")),
        (8, 10, inside),
    ]
    return b"".join(
        bytes([0x1C, record, tag]) + len(data).to_bytes(2, "big") + data
        for record, tag, data in fields
    )


@pytest.fixture
def run_by_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is there once Pillow has run Ghostscript."""
    mark, program = tmp_path / "mark", tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n: > '{mark}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # what Pillow found before
    return mark


@pytest.mark.parametrize("data", [EPS, iptc(EPS)], ids=["EPS", "EPS in IPTC"])
@pytest.mark.parametrize("in_a_file", [False, True])
def test_no_image_runs_a_program(
    data: bytes, in_a_file: bool, run_by_pillow: Path, tmp_path: Path
) -> None:
    with contextlib.suppress(OSError):  # that program draws nothing
        Image.open(io.BytesIO(data)).load()
    assert run_by_pillow.exists(), "Pillow itself runs it"
    run_by_pillow.unlink()
    file = tmp_path / "picture.eps"
    file.write_bytes(data)
    with pytest.raises(QueryError, match="in no image format that is read, as JPEG and PNG are"):
        MediaInput().image(file if in_a_file else data, encoder=FakeEncoder())
    assert not run_by_pillow.exists()


@pytest.mark.parametrize("form", ["TIFF", "BMP", "PPM", "TGA", "JPEG2000", "ICO"])
def test_formats_that_are_data_are_read(form: str) -> None:
    picture, file = Image.new("RGB", (32, 32), (255, 0, 0)), io.BytesIO()
    picture.save(file, form)
    media, encoder = MediaInput(), FakeEncoder()
    found = media.image(file.getvalue(), encoder=encoder)
    np.testing.assert_allclose(found, media.image(picture, encoder=encoder), atol=1e-2)
