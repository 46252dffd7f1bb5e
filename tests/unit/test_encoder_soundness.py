"""An encoder that says nothing is refused before its first vector is stored."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from tests.ingest_stage import SETTINGS, Stage

from vidsearch.encoders import Encoder, ModelIdentity, TorchEncoder, Vectors, require_sound
from vidsearch.encoders.soundness import _pictures, sound_frames
from vidsearch.errors import ModelUnavailableError
from vidsearch.index import create_videos_index
from vidsearch.media import FrameBatch
from vidsearch.registry import State
from vidsearch.testing.checkpoints import random_clip_checkpoint, random_siglip_checkpoint
from vidsearch.testing.fake_encoder import FakeEncoder


class Constant(FakeEncoder):
    """Has not loaded its weights; counts how often it is asked."""

    calls = 0

    def encode_frames(self, frames: FrameBatch) -> Vectors:
        self.calls += 1
        vectors = super().encode_frames(frames)
        vectors[:] = np.eye(1, vectors.shape[1], dtype=np.float32)
        return vectors


class Overflowing(FakeEncoder):
    """Computes in a half precision that does not suffice."""

    def encode_frames(self, frames: FrameBatch) -> Vectors:
        return super().encode_frames(frames) * np.float32("nan")


class Swapped(TorchEncoder):
    """The shipped checkpoint with texts in the wrong order."""

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        return super().encode_text(texts)[::-1]


@pytest.mark.parametrize(
    ("encoder", "said"),
    [
        (Constant(), r"'fake' \(Constant\) gives a red circle and a blue square the same vector"),
        (Overflowing(), "gives no numbers for pictures"),
        (Swapped("demo", device="cpu"), "matches texts with the wrong pictures"),
    ],
    ids=["constant", "nan", "wrong-texts"],
)
def test_nonsense_encoder_is_refused_as_a_fault_of_the_setup(encoder: Encoder, said: str) -> None:
    with pytest.raises(ModelUnavailableError, match=said) as caught:
        require_sound(encoder)
    assert caught.value.fault == "setup"


@pytest.mark.parametrize("make", [random_clip_checkpoint, random_siglip_checkpoint])
def test_random_weights_are_no_nonsense(make: type, tmp_path: Path) -> None:
    require_sound(TorchEncoder(str(make(tmp_path / "model")), device="cpu"))


def test_sound_encoder_is_probed_once() -> None:
    encoder = Counting()
    require_sound(encoder)
    require_sound(encoder)
    assert encoder.calls == [2]
    require_sound(TorchEncoder("demo", device="cpu"))


def frames(*colours: tuple[int, int, int]) -> FrameBatch:
    data = np.broadcast_to(np.array(colours, np.uint8)[:, None, None], (len(colours), 8, 8, 3))
    return FrameBatch(data, np.arange(len(colours), dtype=np.float64))


class Counting(FakeEncoder):
    """Counts the pictures of each call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []

    def encode_frames(self, frames: FrameBatch) -> Vectors:
        self.calls.append(len(frames))
        return super().encode_frames(frames)


def test_frames_that_differ_cost_no_more_than_themselves() -> None:
    encoder, moving = Counting(), frames((255, 0, 0), (0, 0, 255))
    np.testing.assert_array_equal(sound_frames(encoder, moving), encoder.encode_frames(moving))
    sound_frames(encoder, frames((0, 255, 0)))
    require_sound(encoder)
    assert encoder.calls == [2, 2, 1]


@pytest.mark.parametrize("still", [frames((0, 255, 0)), frames((0, 255, 0), (0, 255, 0))])
def test_still_frames_cost_one_picture_more_once(still: FrameBatch) -> None:
    encoder = Counting()
    assert len(sound_frames(encoder, still)) == len(still)
    sound_frames(encoder, still)
    assert encoder.calls == [len(still), 1, len(still)]


@pytest.mark.parametrize("colours", [1, 2])
def test_nonsense_encoder_is_found_by_the_frames_of_a_video(colours: int) -> None:
    batch = frames((255, 0, 0), (0, 0, 255))
    batch = FrameBatch(batch.data[:colours], batch.pts_seconds[:colours])
    with pytest.raises(ModelUnavailableError, match="the same vector"):
        sound_frames(Constant(), batch)
    with pytest.raises(ModelUnavailableError, match="gives no numbers"):
        sound_frames(Overflowing(), batch)
    with pytest.raises(ModelUnavailableError, match="texts with the wrong pictures"):
        sound_frames(Swapped("demo", device="cpu"), batch)


def test_first_picture_of_the_probe_as_a_video_is_compared_with_the_second() -> None:
    encoder = Counting()
    circle = FrameBatch(_pictures().data[:1], np.zeros(1))
    sound_frames(encoder, circle)
    assert encoder.calls == [1, 1, 1]


def test_encoder_without_weak_references_works() -> None:
    class Slotted:
        __slots__ = ("inner",)

        def __init__(self) -> None:
            self.inner = FakeEncoder()

        @property
        def identity(self) -> ModelIdentity:
            return self.inner.identity

        def encode_frames(self, frames: FrameBatch) -> Vectors:
            return self.inner.encode_frames(frames)

    require_sound(Slotted())  # type: ignore[arg-type]


def test_constant_encoder_writes_nothing_and_is_said_in_the_record(red: Path) -> None:
    stage = Stage()
    stage.encoder = constant = Constant()  # type: ignore[assignment]
    create_videos_index(stage.engine, SETTINGS, constant.identity)
    with suppress(ModelUnavailableError):
        stage.add("a", red)
    record = stage.registry.get("a")
    assert record.state in {State.REGISTERED, State.QUEUED}, "for a worker that is set up right"
    assert record.attempts == 0
    assert record.error is not None
    assert (record.error.type, record.error.stage) == ("ModelUnavailableError", "encode")
    assert constant.calls == 3, "the video's first batch, a still scene, and two pictures"
    assert stage.registry.get("a").fingerprint is None
