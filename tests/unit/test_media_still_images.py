"""Every form of a still image gives the pixels that people see."""

from __future__ import annotations

import io
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, features

from vidsearch.errors import QueryError
from vidsearch.media import rgb_pixels
from vidsearch.search.query_vector import MediaInput
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.odd_clips import Track, write_tracks

Pixels = NDArray[np.uint8]


def scene(height: int = 48, width: int = 64) -> Image.Image:
    """Large patches of muted colours; two of them are white."""
    colours = np.random.default_rng(4).integers(40, 216, (3, 4, 3), dtype=np.uint8)
    colours[0, 0] = colours[2, 3] = 255
    return Image.fromarray(colours).resize((width, height), Image.Resampling.NEAREST)


def grey() -> Image.Image:
    return scene().convert("L")


def hole() -> Image.Image:
    """Alpha: the left half is transparent."""
    alpha = Image.new("L", (64, 48), 255)
    alpha.paste(0, (0, 0, 32, 48))
    return alpha


def holed(image: Image.Image, background: str = "white") -> Image.Image:
    flat = Image.new("RGB", image.size, background)
    flat.paste(image, mask=hole())
    return flat


def transparent(image: Image.Image) -> Image.Image:
    """With alpha, and black under transparent pixels."""
    under = holed(image.convert("RGB"), "black").convert(image.mode)
    under.putalpha(hole())
    return under


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def words(image: Image.Image, kind: str = "<u2") -> Image.Image:
    """Grey of 16 bits."""
    return Image.fromarray((np.asarray(image).astype(np.uint16) * 257).astype(kind))


def png(samples: NDArray[np.uint16], *chunks: tuple[bytes, bytes], colour: int) -> bytes:
    """A PNG of 16 bits per sample, ``(height, width, channels)``, which Pillow does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def sixteen(image: Image.Image) -> NDArray[np.uint16]:
    pixels = np.asarray(image).astype(np.uint16) * 257
    return pixels if pixels.ndim == 3 else pixels[..., None]


def levels(factor: int) -> NDArray[np.uint16]:
    """Those of the grey scene, so many times as high."""
    return np.asarray(grey()).astype("<u2") * np.uint16(factor)


def tiff(levels: NDArray[np.generic], *, bits: int, photometric: int = 1, kind: int = 1) -> bytes:
    """A grey TIFF of one strip, of a form that Pillow does not write.

    Args:
        levels: ``(height, width)``, in the number format of the file.
        bits: per level; 12 are packed.
        photometric: 0 where the lowest level is white.
        kind: 1 for whole numbers, 2 for those with a sign.
    """
    height, width = levels.shape
    strip = levels.tobytes()
    if bits == 12:
        first, second = levels.reshape(-1, 2).T.astype(np.uint16)
        parts = [first >> 4, (first & 15) << 4 | second >> 8, second & 255]
        strip = np.stack(parts, axis=1).astype(np.uint8).tobytes()
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1,
            278: height, 279: len(strip), 339: kind}  # fmt: skip
    entries = b"".join(
        struct.pack("<HHIHH", tag, 3, 1, value, 0)
        if tag not in {273, 279}
        else struct.pack("<HHII", tag, 4, 1, value)
        for tag, value in tags.items()
    )
    table = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip + table


def keyed() -> bytes:
    """RGB of 16 bits in which one colour, white, is transparent."""
    return png(sixteen(scene()), (b"tRNS", struct.pack(">HHH", *[_WHITE] * 3)), colour=2)


_WHITE = 0xFFFF
_BLACK_SCENE = Image.new("RGB", (64, 48))


def animated(form: str) -> bytes:
    """The scene, then black."""
    frames = [scene().convert("P", palette=Image.Palette.ADAPTIVE), Image.new("RGB", (64, 48))]
    return saved(frames[0], form, save_all=True, append_images=frames[1:], **_FINE.get(form, {}))


def palette() -> bytes:
    """A palette of which one entry is transparent."""
    image = Image.new("P", (64, 48), 1)
    image.putpalette([0, 0, 0, 200, 60, 30])
    image.paste(0, (0, 0, 32, 48))
    return saved(image, "PNG", transparency=0)


_FINE: dict[str, dict[str, Any]] = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}


def turned(form: str) -> bytes:
    """Stored lying on its side, with the orientation in EXIF."""
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = scene().transpose(Image.Transpose.ROTATE_90)
    return saved(lying, form, exif=exif, **_FINE.get(form, {}))


RED_HALF = holed(Image.new("RGB", (64, 48), (200, 60, 30)))
KEYED = scene()  # white, which is the transparent colour, is shown on white
GREY = grey().convert("RGB")

CASES: dict[str, tuple[Callable[[], Any], Image.Image]] = {
    "16-bit grey PNG": (lambda: saved(words(grey()), "PNG"), GREY),
    "16-bit grey TIFF": (lambda: saved(words(grey()), "TIFF"), GREY),
    "16-bit big-endian grey": (lambda: words(grey(), ">u2"), GREY),
    "16-bit grey PGM": (lambda: saved(words(grey()), "PPM"), GREY),
    "16-bit grey JPEG 2000": (lambda: saved(words(grey()), "JPEG2000"), GREY),
    "16-bit grey PIL image": (lambda: words(grey()), GREY),
    "12-bit grey TIFF": (lambda: tiff(levels(16), bits=12), GREY),
    "16-bit grey TIFF whose lowest level is white": (
        lambda: tiff(_WHITE - levels(257), bits=16, photometric=0),
        GREY,
    ),
    "16-bit grey TIFF with a sign": (
        lambda: tiff(levels(128).astype("<i2"), bits=16, kind=2),
        GREY,
    ),
    "16-bit dark grey PNG": (
        lambda: saved(Image.fromarray(np.full((48, 64), 200, np.uint16)), "PNG"),
        _BLACK_SCENE,
    ),
    "16-bit grey and alpha PNG": (
        lambda: png(sixteen(transparent(grey())), colour=4),
        holed(GREY),
    ),
    "16-bit grey PNG with a transparent level": (
        lambda: png(sixteen(grey()), (b"tRNS", struct.pack(">H", _WHITE)), colour=0),
        GREY,
    ),
    "16-bit RGB PNG": (lambda: png(sixteen(scene()), colour=2), scene()),
    "16-bit RGB PNG with a transparent colour": (keyed, KEYED),
    "16-bit RGBA PNG": (lambda: png(sixteen(transparent(scene())), colour=6), holed(scene())),
    "32-bit whole numbers of 8 bits": (lambda: grey().convert("I"), GREY),
    "32-bit whole numbers of 16 bits": (
        lambda: Image.fromarray(np.asarray(grey()).astype(np.int32) * 257),
        GREY,
    ),
    "floats from 0 to 1": (
        lambda: Image.fromarray(np.asarray(grey()).astype(np.float32) / 255),
        GREY,
    ),
    "floats from 0 to 255, TIFF": (lambda: saved(grey().convert("F"), "TIFF"), GREY),
    "RGBA PNG": (lambda: saved(transparent(scene()), "PNG"), holed(scene())),
    "RGBA WebP": (lambda: saved(transparent(scene()), "WEBP", lossless=True), holed(scene())),
    "RGBA TIFF": (lambda: saved(transparent(scene()), "TIFF"), holed(scene())),
    "RGBA PIL image": (lambda: transparent(scene()), holed(scene())),
    "half transparent": (
        lambda: Image.new("RGBA", (64, 48), (100, 50, 0, 127)),
        Image.new("RGB", (64, 48), (178, 153, 128)),
    ),
    "premultiplied alpha": (lambda: transparent(scene()).convert("RGBa"), holed(scene())),
    "grey and alpha PNG": (lambda: saved(transparent(grey()), "PNG"), holed(GREY)),
    "palette with a transparent entry": (palette, RED_HALF),
    "palette with alpha per entry": (
        lambda: saved(transparent(scene()).quantize(64), "PNG"),
        holed(scene()),
    ),
    "RGB PNG with a transparent colour": (
        lambda: saved(scene(), "PNG", transparency=(255, 255, 255)),
        KEYED,
    ),
    "white on transparent": (
        lambda: saved(transparent(Image.new("RGB", (64, 48), "white")), "PNG"),
        holed(Image.new("RGB", (64, 48), "white"), "black"),
    ),
    "all transparent": (
        lambda: Image.new("RGBA", (64, 48), (9, 9, 9, 0)),
        Image.new("RGB", (64, 48), "white"),
    ),
    "one bit": (lambda: saved(grey().convert("1"), "PNG"), grey().convert("1").convert("RGB")),
    "CMYK JPEG": (lambda: saved(scene().convert("CMYK"), "JPEG", quality=95), scene()),
    "CMYK TIFF": (lambda: saved(scene().convert("CMYK"), "TIFF"), scene()),
    "YCbCr JPEG": (lambda: saved(scene().convert("YCbCr"), "JPEG", quality=95), scene()),
    "LAB TIFF": (lambda: saved(lab(scene()), "TIFF"), scene()),
    "turned JPEG": (lambda: turned("JPEG"), scene()),
    "turned PNG": (lambda: turned("PNG"), scene()),
    "turned WebP": (lambda: turned("WEBP"), scene()),
    "turned TIFF": (lambda: turned("TIFF"), scene()),
    "turned 16-bit grey": (lambda: turned_words(), GREY),
    "animated GIF": (lambda: animated("GIF"), scene()),
    "animated WebP": (lambda: animated("WEBP"), scene()),
    "animated PNG": (lambda: animated("PNG"), scene()),
    "AVIF": (lambda: saved(scene(), "AVIF", quality=95), scene()),
    "profile of another gamut": (lambda: swapped("PNG"), scene()),
    "profile that is broken": (lambda: saved(scene(), "PNG", icc_profile=b"none"), scene()),
    "profile for other channels": (
        lambda: saved(scene().convert("CMYK"), "TIFF", icc_profile=_srgb()),
        scene(),
    ),
}


def turned_words() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(words(grey().transpose(Image.Transpose.ROTATE_90)), "PNG", exif=exif)


def lab(image: Image.Image) -> Image.Image:
    srgb, target = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    converted = ImageCms.profileToProfile(image, srgb, target, outputMode="LAB")
    assert converted is not None
    return converted


def _srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped(form: str) -> bytes:
    """Red and green are swapped, in the pixels and in the profile that explains them."""
    profile = bytearray(_srgb())
    count = struct.unpack_from(">I", profile, 128)[0]
    names = {bytes(profile[132 + 12 * n : 136 + 12 * n]): 132 + 12 * n for n in range(count)}
    red, green = names[b"rXYZ"], names[b"gXYZ"]
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    r, g, b = scene().split()
    return saved(Image.merge("RGB", (g, r, b)), form, icc_profile=bytes(profile))


@pytest.mark.parametrize("case", CASES)
def test_a_form_gives_the_pixels_of_the_plain_image(case: str) -> None:
    make, plain = CASES[case]
    if case == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    given = make()
    image = Image.open(io.BytesIO(given)) if isinstance(given, bytes) else given
    pixels = rgb_pixels(image)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (48, 64, 3)
    apart = np.abs(pixels.astype(int) - np.asarray(plain))
    assert apart.mean() < 2.5, apart.reshape(-1, 3).max(0)


@pytest.mark.parametrize("case", ["16-bit grey PNG", "RGBA PNG", "grey and alpha PNG"])
def test_a_query_by_a_form_has_the_vector_of_the_plain_image(case: str, tmp_path: Path) -> None:
    make, plain = CASES[case]
    file = tmp_path / "picture.png"
    file.write_bytes(make())
    media, encoder = MediaInput(), FakeEncoder()
    expected = media.image(plain, encoder=encoder)
    for given in (file, file.read_bytes(), Image.open(file)):
        np.testing.assert_array_equal(media.image(given, encoder=encoder), expected)


def test_the_given_image_stays_as_it_is() -> None:
    image = Image.open(io.BytesIO(keyed()))
    before = dict(image.info)
    rgb_pixels(image)
    assert image.info == before


def hdr(form: str, tmp_path: Path) -> bytes:
    """The scene in PQ and BT.2020: what is white in SDR has 203 cd/m²."""
    linear = (np.asarray(scene()) / 255.0) ** 2.4
    wide = (
        linear
        @ np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]).T
    )
    power = (wide * 203 / 10_000) ** 0.1593017578125
    coded = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    if form == "PNG":
        samples = np.round(coded * 65535).astype(np.uint16)
        return png(samples, (b"cICP", bytes([9, 16, 0, 1])), colour=2)
    pixels = np.round(coded * 255).astype(np.uint8)
    track = Track(
        codec="libsvtav1",
        pixel_format="yuv420p10le",
        frames=1,
        picture=lambda _: np.asarray(Image.fromarray(pixels).resize((256, 192), 0)),
        tags={"color_primaries": 9, "color_trc": 16, "colorspace": 9},
        options={"crf": "10"},
    )
    return write_tracks(tmp_path / "hdr.avif", track).read_bytes()


@pytest.mark.parametrize("form", ["PNG", "AVIF"])
def test_hdr_becomes_sdr(form: str, tmp_path: Path) -> None:
    pytest.importorskip("av")
    if form == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    file = hdr(form, tmp_path)
    pixels = rgb_pixels(Image.open(io.BytesIO(file)))
    small = np.asarray(Image.fromarray(pixels).resize((64, 48), Image.Resampling.BOX))
    naive = np.asarray(Image.open(io.BytesIO(file)).convert("RGB").resize((64, 48)))
    expected = np.asarray(scene()).astype(int)
    assert np.abs(small - expected).mean() < 4
    assert np.abs(naive - expected).mean() > 20

    def seconds() -> float:
        begin = time.perf_counter()
        rgb_pixels(Image.open(io.BytesIO(file)))
        return time.perf_counter() - begin

    assert any(seconds() < 1 for _ in range(10)), "the table is there"


def test_colours_that_nobody_has_defined_are_passed_over() -> None:
    samples = np.full((4, 4, 3), 40 * 256, dtype=np.uint16)
    for primaries in (15, 21, 255):  # FFmpeg ends the process at the first two
        file = png(samples, (b"cICP", bytes([primaries, 13, 0, 1])), colour=2)
        np.testing.assert_array_equal(rgb_pixels(Image.open(io.BytesIO(file))), samples >> 8)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_damaged_avif_is_the_mistake_of_the_caller() -> None:
    data = saved(scene(), "AVIF")
    begin = data.index(b"mdat") + 4
    damaged = data[:begin] + bytes(len(data) - begin)
    with pytest.raises(QueryError, match="cannot be read"):
        MediaInput().image(damaged, encoder=FakeEncoder())


def test_the_pixels_of_an_ordinary_image_are_its_own_and_can_be_written_to() -> None:
    image = scene()
    pixels = rgb_pixels(image)
    np.testing.assert_array_equal(pixels, np.asarray(image))
    pixels[:] = 0
    assert np.asarray(image).any()
