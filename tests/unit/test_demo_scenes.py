"""Drawn scenes and clips: captions, splits, pictures, files."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vidsearch.demo import (
    ATTRIBUTES,
    BACKGROUNDS,
    COLOURS,
    VALUES,
    Look,
    Scene,
    Shot,
    demo_clips,
    draw,
    neighbours,
    paraphrase,
    random_scene,
    scenes,
    write_clip,
)

np = pytest.importorskip("numpy")
pytest.importorskip("cv2")

RED_CIRCLES = Scene(
    shape="circle", colour="red", count=2, size="large", texture="striped", background="black"
)
PLAIN_SQUARE = Scene(
    shape="square", colour="blue", count=1, size="large", texture="solid", background="white"
)


class TestScene:
    def test_unknown_value_is_refused(self) -> None:
        with pytest.raises(ValueError, match="colour must be one of"):
            PLAIN_SQUARE.with_value("colour", "beige")

    def test_with_value_changes_one_attribute(self) -> None:
        other = RED_CIRCLES.with_value("count", "3")
        assert [n for n in ATTRIBUTES if other.value(n) != RED_CIRCLES.value(n)] == ["count"]

    def test_caption_names_every_attribute(self) -> None:
        assert RED_CIRCLES.caption == "two large striped red circles on a black background"
        assert PLAIN_SQUARE.caption == "one large solid blue square on a white background"
        assert RED_CIRCLES.short_caption == "a red circle"
        assert PLAIN_SQUARE.with_value("colour", "azure").short_caption == "an azure square"

    def test_every_scene_has_its_own_caption(self) -> None:
        sample = scenes(2000, seed=3)
        assert len({scene.caption for scene in sample}) == len(sample)

    def test_paraphrases_vary_and_are_seeded(self) -> None:
        texts = [paraphrase(RED_CIRCLES, rng=random.Random(seed)) for seed in range(50)]
        assert len(set(texts)) > 25
        assert texts[7] == paraphrase(RED_CIRCLES, rng=random.Random(7))

    def test_paraphrase_omits_attributes_that_are_not_mentioned(self) -> None:
        for seed in range(50):
            text = paraphrase(RED_CIRCLES, rng=random.Random(seed), mention=("shape", "size"))
            assert not {"red", "scarlet", "striped", "two", "black"} & set(text.split())


class TestSplit:
    def test_share_of_held_out_scenes_is_stable(self) -> None:
        # The rule must never move: a checkpoint was trained on one side of it.
        held_out = [scene.held_out for scene in scenes(4000, seed=5)]
        assert 0.17 < sum(held_out) / len(held_out) < 0.23
        assert (RED_CIRCLES.held_out, PLAIN_SQUARE.held_out) == (False, True)

    def test_splits_have_no_scene_in_common(self) -> None:
        train = set(scenes(3000, seed=1, split="train"))
        held_out = set(scenes(1500, seed=1, split="held_out"))
        assert not train & held_out

    @pytest.mark.parametrize(("split", "most"), [("held_out", 3458), ("any", 17_280)])
    def test_more_scenes_than_a_split_has_are_refused(self, split: Any, most: int) -> None:
        with pytest.raises(ValueError, match=rf"the split '{split}' has {most} scenes, not"):
            scenes(most + 1, seed=1, split=split)

    def test_same_seed_gives_the_same_scenes(self) -> None:
        assert scenes(20, seed=9) == scenes(20, seed=9) != scenes(20, seed=10)
        assert random_scene(random.Random(4)) == random_scene(random.Random(4))

    def test_neighbours_differ_in_the_named_attribute_alone(self) -> None:
        found = list(neighbours(RED_CIRCLES))
        assert len(found) == sum(len(values) - 1 for values in VALUES.values())
        for name, scene in found:
            assert [n for n in ATTRIBUTES if scene.value(n) != RED_CIRCLES.value(n)] == [name]


class TestDraw:
    def test_drawn_frame_has_shape_and_type_and_is_deterministic(self) -> None:
        frame = draw(RED_CIRCLES, time=1.5, seed=3, width=160, height=120)
        assert frame.shape == (120, 160, 3)
        assert frame.dtype == np.uint8
        assert (frame == draw(RED_CIRCLES, time=1.5, seed=3, width=160, height=120)).all()

    def test_drawn_frame_changes_with_time_and_seed(self) -> None:
        frame = draw(RED_CIRCLES, time=0, seed=3)
        assert (frame != draw(RED_CIRCLES, time=1, seed=3)).any()
        assert (frame != draw(RED_CIRCLES, time=0, seed=4)).any()

    @pytest.mark.parametrize("name", ATTRIBUTES)
    def test_every_attribute_changes_the_drawn_frame(self, name: str) -> None:
        frame = draw(PLAIN_SQUARE, time=0, seed=3)
        for attribute, scene in neighbours(PLAIN_SQUARE):
            if attribute == name:
                assert (frame != draw(scene, time=0, seed=3)).mean() > 0.005, scene.key

    @pytest.mark.parametrize("shape", VALUES["shape"])
    def test_centre_crop_keeps_every_object(self, shape: str) -> None:
        scene = RED_CIRCLES.with_value("shape", shape).with_value("count", "3")
        for seed in range(5):
            frame = draw(scene, time=seed, seed=seed, width=200, height=100).astype(int)
            outside = np.concatenate([frame[:, :48], frame[:, -48:]], axis=1)
            assert np.ptp(outside, axis=(0, 1)).max() == 0

    def test_drawn_colours_are_rgb(self) -> None:
        frame = draw(PLAIN_SQUARE, time=0, seed=1).reshape(-1, 3).astype(int)
        near = abs(frame - COLOURS["blue"]).max(axis=1) < 12
        assert 0.1 < near.mean() < 0.3


class TestClips:
    def test_look_takes_the_place_of_colour_and_texture_and_moves_nothing(self) -> None:
        def halves(xs: Any, ys: Any, side: int) -> Any:
            return ((xs > 0) & (ys == ys)).astype(np.float32)

        plain = draw(PLAIN_SQUARE, time=0, seed=1).astype(int)
        frame = draw(
            PLAIN_SQUARE, time=0, seed=1, look=Look(colour=(120, 65, 20), texture=halves)
        ).astype(int)

        brown = (abs(frame - (120, 65, 20)) <= 9).all(axis=2)
        ink = (frame < 20).all(axis=2)  # dark, as the background is light
        blue = (abs(plain - COLOURS["blue"]) <= 9).all(axis=2)
        assert (brown | ink)[blue].mean() > 0.97
        assert brown[blue].mean() == pytest.approx(0.5, abs=0.05)
        assert (frame == plain)[~blue].mean() > 0.97

    def test_clip_decodes_to_its_frames_and_colours(self, tmp_path: Path) -> None:
        av = pytest.importorskip("av")
        shots = [
            Shot(scene=PLAIN_SQUARE, seconds=1.5, seed=1),
            Shot(scene=RED_CIRCLES, seconds=1.0, seed=2),
        ]
        path = write_clip(tmp_path / "deep" / "clip.mp4", shots, fps=8, width=160, height=120)
        assert [p.name for p in path.parent.iterdir()] == ["clip.mp4"]
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
            assert (stream.average_rate, stream.frames) == (8, 20)
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert len(frames) == 20
        for frame, scene, time in [(frames[4], PLAIN_SQUARE, 0.5), (frames[12], RED_CIRCLES, 0)]:
            assert abs(frame[2, 2].astype(int) - BACKGROUNDS[scene.background]).max() < 12
            seed = 1 if scene is PLAIN_SQUARE else 2
            drawn = draw(scene, time=time, seed=seed, width=160, height=120)
            assert abs(frame.astype(int) - drawn).mean() < 6

    def test_failed_write_of_a_clip_leaves_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="even sides"):
            write_clip(tmp_path / "clip.mp4", [Shot(scene=PLAIN_SQUARE)], width=161)
        with pytest.raises(ValueError, match="at least one shot"):
            write_clip(tmp_path / "clip.mp4", [])
        assert list(tmp_path.iterdir()) == []

    def test_demo_clips_have_ids_titles_tags_and_scenes(self, tmp_path: Path) -> None:
        pytest.importorskip("av")
        clips = demo_clips(tmp_path, seed=3, number=4)
        assert [clip.path.name for clip in clips] == [f"demo-0{i}.mp4" for i in range(1, 5)]
        assert len({clip.title for clip in clips}) == 4
        assert [len(clip.scenes) for clip in clips] == [1, 1, 1, 2]
        first, second = clips[-1].scenes
        assert (first.start, first.end, second.start, second.end) == (0, 10, 10, 20)
        assert clips[-1].duration == 20
        assert all(part.scene.held_out for clip in clips for part in clip.scenes)
        # Titles and tags must not give the answer away.
        for clip in clips:
            words = f"{clip.title} {' '.join(clip.tags)}".lower().split()
            assert not {part.scene.shape for part in clip.scenes} & set(words)


def test_import_is_light() -> None:
    code = "import sys, vidsearch.demo; print({'cv2', 'av', 'torch', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
