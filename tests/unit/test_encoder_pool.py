"""Which encoder an identity comes to, how many are kept, and who waits for whom."""

from __future__ import annotations

import shutil
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vidsearch.config import IngestSettings, ModelSettings
from vidsearch.encoders import Encoder, EncoderPool, ModelIdentity, load_encoder
from vidsearch.encoders.pool import model_named
from vidsearch.errors import EncoderError, ModelMismatchError, ModelUnavailableError
from vidsearch.media import FrameBatch
from vidsearch.testing.checkpoints import random_clip_checkpoint, turned_demo_checkpoint
from vidsearch.testing.fake_encoder import FakeEncoder

DEMO = ModelSettings(name="demo", offline=True)
INGEST = IngestSettings()


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("checkpoints")
    return [random_clip_checkpoint(folder / str(seed), seed=seed) for seed in (1, 2)]


def pool_of(model: ModelSettings, ingest: IngestSettings = INGEST) -> EncoderPool:
    return EncoderPool.from_settings(model, ingest)


def identity_of(name: str | Path) -> ModelIdentity:
    return load_encoder(ModelSettings(name=str(name)), INGEST).identity


def others(*names: Path | str) -> ModelSettings:
    return DEMO.model_copy(update={"others": tuple(map(str, names))})


def test_the_configured_model_is_given_for_its_identity_and_made_once() -> None:
    made: list[Encoder] = []

    def make() -> Encoder:
        made.append(FakeEncoder())
        return made[-1]

    pool = EncoderPool(make)
    assert made == []
    found = pool.encoder_for(FakeEncoder().identity, where="index 'videos'")
    assert (found, pool.configured, len(made)) == (made[0], made[0], 1)


def test_an_identity_that_differs_in_what_is_only_noted_is_the_same_model() -> None:
    pool = EncoderPool(FakeEncoder)
    noted = replace(FakeEncoder().identity, precision="bf16")
    assert pool.encoder_for(noted, where="index 'videos'") is pool.configured


def test_a_pool_of_one_encoder_refuses_another_with_both_identities() -> None:
    pool = EncoderPool(FakeEncoder)
    with pytest.raises(ModelMismatchError, match=r"index 'videos' .*fake@2.*fake@1.*revision"):
        pool.encoder_for(FakeEncoder(revision="2").identity, where="index 'videos'")


def test_folders_that_the_settings_name_are_found_by_their_weights(
    checkpoints: list[Path], tmp_path: Path
) -> None:
    first, second = checkpoints
    pool = pool_of(others(first, second))
    found = pool.encoder_for(identity_of(second), where="index 'videos'")
    assert found.identity == identity_of(second) != identity_of(first)
    assert pool.configured.identity.name == "demo"
    moved = shutil.copytree(second, tmp_path / "moved")
    assert pool_of(others(moved)).encoder_for(identity_of(second), where="index") is not None


def test_demo_is_found_by_its_name_alone(checkpoints: list[Path]) -> None:
    pool = pool_of(ModelSettings(name=str(checkpoints[0])))
    demo = identity_of("demo")
    assert pool.encoder_for(demo, where="index 'videos'").identity == demo


def test_a_hub_id_is_found_at_the_revision_of_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str | None, bool]] = []

    def hub_folder(name: str, files: object, *, revision: str, offline: bool, **_: object) -> Path:
        asked.append((name, revision, offline))
        raise ModelUnavailableError("the checkpoint is not on this machine")

    monkeypatch.setattr("vidsearch.encoders.checkpoint.hub_folder", hub_folder)
    wanted = ModelIdentity("acme/clip", "c0ffee", 512, 224)
    with pytest.raises(ModelMismatchError, match=r"acme/clip@c0ffee .* demo@.*not on this machine"):
        pool_of(DEMO).encoder_for(wanted, where="index 'videos'")
    assert asked == [("acme/clip", "c0ffee", True)]


def test_a_model_that_is_nowhere_is_refused_with_what_was_looked_at(
    checkpoints: list[Path], tmp_path: Path
) -> None:
    first, second = checkpoints
    absent = tmp_path / "absent"
    with pytest.raises(ModelMismatchError) as caught:
        pool_of(others(first, absent)).encoder_for(identity_of(second), where="index 'videos'")
    said = str(caught.value)
    assert str(identity_of(second)) in said
    assert str(identity_of("demo")) in said
    assert f"{str(first)!r} is local@" in said
    assert f"there is no folder {str(absent)!r}" in said
    assert "VIDSEARCH_MODEL__OTHERS" in said


def test_frames_that_are_chosen_otherwise_are_another_model() -> None:
    demo = identity_of("demo")
    pool = pool_of(DEMO, IngestSettings(fps=2))
    with pytest.raises(ModelMismatchError, match="differs in sampling"):
        pool.encoder_for(demo, where="index 'videos'")


def test_an_encoder_of_ones_own_is_found_by_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_pool_encoder.py").write_text(
        "from vidsearch.testing.fake_encoder import FakeEncoder\n"
        "def make(settings, ingest):\n    return FakeEncoder(revision='7')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    wanted = FakeEncoder(revision="7").identity
    try:
        pool = pool_of(others("own_pool_encoder:make"))
        assert pool.encoder_for(wanted, where="index 'videos'").identity == wanted
    finally:
        sys.modules.pop("own_pool_encoder", None)


def test_two_encoders_are_kept_and_the_configured_one_makes_room_too(
    checkpoints: list[Path],
) -> None:
    first, second = map(identity_of, checkpoints)
    demo, pool = identity_of("demo"), pool_of(others(*checkpoints))
    for identity in (demo, first, demo, second):
        pool.encoder_for(identity, where="index")
    assert [pool.holds(each) for each in (demo, first, second)] == [True, False, True]
    pool.encoder_for(first, where="index")
    assert [pool.holds(each) for each in (demo, first, second)] == [False, True, True]
    assert pool.encoder_for(demo, where="index").identity == demo


def test_a_missing_model_is_looked_for_again_after_a_while_only(
    checkpoints: list[Path], tmp_path: Path
) -> None:
    now = [100.0]
    wanted, folder = identity_of(checkpoints[0]), tmp_path / "later"
    model = others(folder)
    pool = EncoderPool(lambda: load_encoder(DEMO, INGEST), model, INGEST, clock=lambda: now[0])
    with pytest.raises(ModelMismatchError):
        pool.encoder_for(wanted, where="index 'videos'")
    shutil.copytree(checkpoints[0], folder)
    with pytest.raises(ModelMismatchError, match="there is no folder"):
        pool.encoder_for(wanted, where="index 'videos'")
    now[0] += 60
    assert pool.encoder_for(wanted, where="index 'videos'").identity == wanted


def test_a_configured_model_that_cannot_be_made_is_tried_again() -> None:
    failures = [EncoderError("no card")]

    def make() -> Encoder:
        if failures:
            raise failures.pop()
        return FakeEncoder()

    pool = EncoderPool(make)
    with pytest.raises(EncoderError, match="no card"):
        pool.encoder_for(FakeEncoder().identity, where="index 'videos'")
    assert pool.encoder_for(FakeEncoder().identity, where="index 'videos'") is pool.configured


def test_who_asks_for_one_model_does_not_wait_for_another(
    monkeypatch: pytest.MonkeyPatch, checkpoints: list[Path]
) -> None:
    began, go_on = threading.Event(), threading.Event()

    def slow(settings: ModelSettings, ingest: IngestSettings) -> Encoder:
        if settings.name != "demo":
            began.set()
            assert go_on.wait(60)
        return load_encoder(settings, ingest)

    monkeypatch.setattr("vidsearch.encoders.pool.load_encoder", slow)
    pool, coming = pool_of(others(checkpoints[0])), identity_of(checkpoints[0])
    demo = pool.configured
    found: list[Encoder] = []
    threads = [
        threading.Thread(target=lambda: found.append(pool.encoder_for(coming, where="index")))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    assert began.wait(60)
    # Would not return if it waited: the others go on only after it.
    assert pool.encoder_for(demo.identity, where="index") is demo
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert [each is found[0] for each in found] == [True] * 3


@pytest.mark.parametrize(
    ("name", "precision", "expected"),
    [
        ("demo", "int8", ("auto", "demo", "auto")),
        ("demo", "bf16", ("auto", "demo", "bf16")),
        ("own.module:Make", "int8", ("own.module:Make", "here", "int8")),
    ],
)
def test_another_model_is_computed_as_the_configured_one_as_far_as_it_can(
    name: str, precision: str, expected: tuple[str, str, str]
) -> None:
    model = ModelSettings.model_validate({"name": "here", "precision": precision, "threads": 3})
    made = model_named(name, model, revision="abc")
    assert (made.encoder, made.name, made.precision) == expected
    assert (made.revision, made.threads) == ("abc", 3)


def test_a_turned_demo_checkpoint_is_as_good_and_comparable_to_nothing_of_demo(
    tmp_path: Path,
) -> None:
    texts = ["a red circle", "a blue square", "a yellow star"]
    picture = np.zeros((1, 64, 64, 3), np.uint8)
    picture[:, 16:48, 16:48] = (235, 20, 20)
    made = {}
    for name in ("demo", str(turned_demo_checkpoint(tmp_path / "turned", seed=1))):
        encoder = load_encoder(ModelSettings(name=name, precision="fp32"), INGEST)
        frame = encoder.encode_frames(FrameBatch(picture, np.zeros(1)))
        made[name] = np.concatenate([encoder.encode_text(texts), frame])
    demo, turned = made.values()
    assert np.allclose(demo @ demo.T, turned @ turned.T, atol=2e-3)
    assert np.abs(demo @ turned.T).max() < 0.25
