"""Pictures that clients send: how large they may be, and how many are decoded at once."""

from __future__ import annotations

import io
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Semaphore
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.page_stage import open_page, picture

from vidsearch.config import Settings
from vidsearch.encoders.base import Vectors
from vidsearch.errors import QueryError
from vidsearch.media import rgb_pixels
from vidsearch.media.frames import FrameBatch
from vidsearch.media.pixels import CLIP_PIXELS, clip_levels
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.web.uploads import opened_upload


def _file(size: tuple[int, int], format: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (200, 30, 40)).save(file, format)
    return file.getvalue()


@pytest.mark.parametrize(
    ("size", "decoded"),
    [
        ((4000, 3000), (2000, 1500)),
        ((6000, 1100), (3000, 550)),
        ((6000, 400), (6000, 400)),
        ((2047, 1600), (2047, 1600)),
        ((9000, 6), (9000, 6)),
    ],
)
def test_a_large_jpeg_is_decoded_smaller(size: tuple[int, int], decoded: tuple[int, int]) -> None:
    pixels = rgb_pixels(opened_upload(_file(size, "JPEG"), Settings()))
    assert pixels.shape == (decoded[1], decoded[0], 3)
    assert np.abs(pixels.astype(int) - (200, 30, 40)).max() < 8


def test_a_model_sees_the_same_in_a_large_jpeg_that_is_decoded_smaller() -> None:
    random = np.random.default_rng(1)
    coarse = Image.fromarray(random.integers(0, 256, (96, 128, 3), np.uint8))
    file = io.BytesIO()
    coarse.resize((2048, 1536), Image.Resampling.BICUBIC).save(file, "JPEG", quality=92)
    smaller = rgb_pixels(opened_upload(file.getvalue(), Settings()))
    assert smaller.shape == (768, 1024, 3)
    seen, whole = (
        clip_levels(pixels[np.newaxis], CLIP_PIXELS).astype(int)
        for pixels in (smaller, rgb_pixels(Image.open(file)))
    )
    assert np.abs(seen - whole).mean() < 1
    assert np.abs(seen - whole).max() < 8


def test_a_picture_that_cannot_be_made_smaller_may_have_fewer_pixels() -> None:
    settings = Settings(web={"max_pixels": 100_000}, sources={"max_pixels": 1_000_000})
    assert opened_upload(_file((300, 300), "PNG"), settings).size == (300, 300)
    for format in ("PNG", "WEBP", "GIF"):
        with pytest.raises(QueryError, match=r"400x300 pixels, more than web\.max_pixels") as no:
            opened_upload(_file((400, 300), format), settings)
        assert no.value.argument == "image"
    with pytest.raises(QueryError, match=r"9000x200 pixels, more than sources\.max_pixels"):
        opened_upload(_file((9000, 200), "JPEG"), settings)
    assert opened_upload(_file((9000, 100), "JPEG"), settings).size == (2250, 25)


def test_a_format_that_no_client_may_send_is_not_even_tried() -> None:
    with pytest.raises(QueryError, match="a format that this server cannot decode") as no:
        opened_upload(_file((9, 9), "TGA"), Settings())
    assert no.value.argument == "image"


def test_a_file_that_begins_as_a_picture_and_is_none_is_called_damaged() -> None:
    with pytest.raises(QueryError, match="the image is damaged, or in a format that") as no:
        opened_upload(b"\x89PNG\r\n\x1a\n but no more", Settings())
    assert no.value.argument == "image"


def test_the_api_names_the_limit_and_the_argument() -> None:
    with open_page(web={"max_pixels": 1000}) as page:
        files = {"image": ("a.png", picture("red"), "image/png")}
        answer = page.client.post("/api/search", files=files)
    assert (answer.status_code, answer.json()["argument"]) == (422, "image")
    assert "web.max_pixels (1000)" in answer.json()["detail"]


def test_sixteen_bits_become_eight_without_a_copy_in_long_numbers() -> None:
    levels = np.arange(2048 * 2048, dtype=np.uint32).reshape(2048, 2048) % 65536
    image = Image.fromarray(levels.astype(np.uint16))
    tracemalloc.start()
    try:
        pixels = rgb_pixels(image)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(pixels[..., 0], np.round(levels * (255 / 65535)))
    assert peak < 14 * levels.size, "the numbers as float64 alone take 8 bytes for each pixel"


def test_two_pictures_are_worked_on_at_once_and_texts_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, goes_on, number = Semaphore(0), Event(), []
    embed = FakeEncoder.encode_frames

    def hang(self: FakeEncoder, frames: FrameBatch) -> Vectors:
        number.append(1)
        begun.release()
        goes_on.wait(60)
        return embed(self, frames)

    with open_page() as page, ThreadPoolExecutor(4) as hands:
        monkeypatch.setattr(FakeEncoder, "encode_frames", hang)
        files = {"image": ("a.png", picture("red"), "image/png")}

        def send(_: int) -> Any:
            return page.post("/picture", files=files)

        answers = [hands.submit(send, at) for at in range(4)]
        try:
            for _ in range(2):
                assert begun.acquire(timeout=60)
            for _ in range(5):
                assert page.get("/?q=red").status_code == 200
            assert len(number) == 2
        finally:
            goes_on.set()
        assert [each.result().status_code for each in answers] == [303] * 4
