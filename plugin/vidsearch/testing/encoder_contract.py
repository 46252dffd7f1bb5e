"""What every encoder must do. Subclass it, give it an encoder, run it with pytest."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from vidsearch.encoders import Encoder, ModelIdentity, Vectors, mean_unit
from vidsearch.media import FrameBatch

__all__ = ["EncoderContract"]

_TEXTS = ["a red square", "two dogs run over a green meadow", "night", "Straße, 東京 и 🎬!"]


def _frames(*, count: int, height: int, width: int, seed: int = 0) -> FrameBatch:
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    # Pure noise is one and the same grey to any encoder: give each frame a colour as well.
    data //= 4
    data += rng.integers(0, 192, (count, 1, 1, 3), dtype=np.uint8)
    return FrameBatch(data=data, pts_seconds=np.arange(count, dtype=np.float64))


def _assert_unit(vectors: Vectors, *, count: int, encoder: Encoder) -> None:
    assert vectors.dtype == np.float32
    assert vectors.shape == (count, encoder.identity.dims)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


class EncoderContract:
    """What holds for every encoder. Define a fixture ``encoder``, and subclass::

        @pytest.fixture(scope="module")
        def encoder() -> Encoder:
            return MyEncoder(ModelSettings(), IngestSettings())


        class TestMyEncoder(EncoderContract):
            pass

    Needs pytest and numpy; the encoder is neither changed nor closed.
    """

    frame_tolerance: float = 1e-5
    """Largest difference of a component between a frame encoded alone and one in a batch. Raise it
    for an encoder that computes in less than single precision."""

    def test_it_is_an_encoder(self, encoder: Encoder) -> None:
        assert isinstance(encoder, Encoder)

    def test_identity_survives_the_mapping(self, encoder: Encoder) -> None:
        identity = encoder.identity
        assert ModelIdentity.from_meta(identity.to_meta()) == identity
        assert identity.dims > 0
        assert identity.image_size > 0
        assert identity.revision
        assert encoder.identity == identity

    def test_texts_become_unit_vectors(self, encoder: Encoder) -> None:
        _assert_unit(encoder.encode_text(_TEXTS), count=len(_TEXTS), encoder=encoder)

    def test_different_texts_differ(self, encoder: Encoder) -> None:
        vectors = encoder.encode_text(_TEXTS)
        cosines = vectors @ vectors.T
        assert cosines[~np.eye(len(_TEXTS), dtype=bool)].max() < 0.9999

    def test_a_text_does_not_depend_on_its_batch(self, encoder: Encoder) -> None:
        together = encoder.encode_text(_TEXTS)
        alone = np.concatenate([encoder.encode_text([text]) for text in _TEXTS])
        np.testing.assert_allclose(together, alone, atol=1e-5)

    def test_no_text_gives_no_vector(self, encoder: Encoder) -> None:
        _assert_unit(encoder.encode_text([]), count=0, encoder=encoder)

    def test_an_empty_text_is_still_a_unit_vector(self, encoder: Encoder) -> None:
        _assert_unit(encoder.encode_text([""]), count=1, encoder=encoder)

    @pytest.mark.parametrize("text", ["\n\t ", "\x00", "a \udcff dog", "🎬" * 300, "x" * 10_000])
    def test_an_odd_text_is_still_a_unit_vector(self, encoder: Encoder, text: str) -> None:
        assert encoder.count_tokens(text) >= encoder.count_tokens("")
        _assert_unit(encoder.encode_text([text]), count=1, encoder=encoder)

    def test_tokens_are_counted_before_the_cut(self, encoder: Encoder) -> None:
        # What the model adds by itself, such as an end token.
        assert 0 < encoder.count_tokens("") < encoder.count_tokens("red")
        assert encoder.count_tokens("red") < encoder.count_tokens("a red square")
        assert encoder.count_tokens("red " * 500) > encoder.context_length

    def test_a_long_text_is_cut_off(self, encoder: Encoder) -> None:
        long, longer = "red " * 500, "red " * 500 + "blue"
        vectors = encoder.encode_text([long, longer])
        _assert_unit(vectors, count=2, encoder=encoder)
        np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-5)

    @pytest.mark.parametrize(("height", "width"), [(48, 64), (97, 31), (1, 1), (3, 200)])
    def test_frames_of_any_size_become_unit_vectors(
        self, encoder: Encoder, height: int, width: int
    ) -> None:
        frames = _frames(count=3, height=height, width=width)
        _assert_unit(encoder.encode_frames(frames), count=3, encoder=encoder)

    def test_frames_keep_their_order_and_do_not_depend_on_their_batch(
        self, encoder: Encoder
    ) -> None:
        frames = _frames(count=21, height=40, width=56)
        together = encoder.encode_frames(frames)
        alone = np.concatenate(
            [
                encoder.encode_frames(FrameBatch(frames.data[i : i + 1], frames.pts_seconds[:1]))
                for i in range(len(frames))
            ]
        )
        np.testing.assert_allclose(together, alone, atol=self.frame_tolerance)
        # In another order, all of them would be further off than the tolerance.
        others = np.linalg.norm(together - np.roll(alone, 1, axis=0), axis=1)
        own = np.linalg.norm(together - alone, axis=1)
        assert (own < others).all()

    def test_no_frames_give_no_vector(self, encoder: Encoder) -> None:
        empty = _frames(count=0, height=8, width=8)
        _assert_unit(encoder.encode_frames(empty), count=0, encoder=encoder)

    def test_frames_are_left_as_they_were(self, encoder: Encoder) -> None:
        frames = _frames(count=2, height=30, width=40)
        before = frames.data.copy()
        encoder.encode_frames(frames)
        np.testing.assert_array_equal(frames.data, before)

    def test_frames_can_be_pooled(self, encoder: Encoder) -> None:
        pooled = mean_unit(encoder.encode_frames(_frames(count=5, height=30, width=40)))
        assert abs(float(np.linalg.norm(pooled)) - 1.0) < 1e-6

    def test_many_threads_get_the_same_vectors(self, encoder: Encoder) -> None:
        frames = _frames(count=2, height=30, width=40)
        texts, images = encoder.encode_text(_TEXTS), encoder.encode_frames(frames)

        def work(index: int) -> tuple[Vectors, Vectors, int]:
            text = _TEXTS[index % len(_TEXTS)]
            return (
                encoder.encode_text([text]),
                encoder.encode_frames(frames),
                encoder.count_tokens(text),
            )

        with ThreadPoolExecutor(4) as pool:
            for index, (text, image, tokens) in enumerate(pool.map(work, range(16))):
                expected = texts[index % len(_TEXTS)]
                np.testing.assert_allclose(text[0], expected, atol=1e-5)
                np.testing.assert_allclose(image, images, atol=self.frame_tolerance)
                assert tokens == encoder.count_tokens(_TEXTS[index % len(_TEXTS)])
