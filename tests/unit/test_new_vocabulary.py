"""The clips that `python -m training.new_vocabulary` trains and tests on, and its bars."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("av")

from training import new_vocabulary as proof


def test_unseen_clips_have_captions_of_their_own_and_none_that_is_tested() -> None:
    tested = proof.unseen_clips(100, seed=3, split="held_out")
    trained = proof.unseen_clips(300, seed=4, split="train", but=tested)

    captions = [clip.german for clip in [*tested, *trained]]
    assert len(captions) == len(set(captions)) == 400
    assert all(clip.scene.held_out for clip in tested)
    assert not any(clip.scene.held_out for clip in trained)


def test_more_unseen_clips_than_there_are_captions_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # 480 captions are left: of shapes, numbers, sizes and backgrounds.
    monkeypatch.setattr(proof, "_UNSEEN_COLOURS", {"braun": (120, 65, 20)})
    monkeypatch.setattr(proof, "_UNSEEN_TEXTURES", {"gerippt": None})

    with pytest.raises(ValueError, match=r"481 clips .* were asked for, and 1443 scenes make 4"):
        proof.unseen_clips(481, seed=4, split="train")


def test_clip_says_what_is_drawn_in_place_of_what_the_scene_names() -> None:
    (clip,) = proof.unseen_clips(1, seed=4, split="train")

    assert clip.attributes["colour"] == clip.colour != clip.scene.colour
    assert clip.attributes["texture"] == clip.texture != clip.scene.texture
    assert clip.attributes["shape"] == clip.scene.shape
    assert f"{clip.texture} {clip.colour}" in clip.german


def test_each_bar_that_is_missed_is_named() -> None:
    found = {"new": (0.1, 0.95), "stranger": (0.6, 0.9), "old": (1.0, 0.97)}

    assert proof.missed_bars({**found, "old": (1.0, 0.98)}, seconds=601) == [
        "at most 600 s to draw and train",
        "stranger: under 0.5 before",
        "stranger: over 0.9 after",
    ]
    assert proof.missed_bars({"new": (0.1, 0.95), "old": (1.0, 0.98)}, seconds=600) == []
    assert "old: no more than 0.02 lost" in proof.missed_bars(found, seconds=1)
