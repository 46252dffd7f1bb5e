"""Frames in the cache, and the splits of the pairs."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("torch")
pytest.importorskip("av")

from vidsearch.config import IngestSettings  # noqa: E402
from vidsearch.demo import Scene, Shot, write_clip  # noqa: E402
from vidsearch.errors import FineTuningError, VideoError  # noqa: E402
from vidsearch.evaluation import Pairs  # noqa: E402
from vidsearch.evaluation.pairs import CaptionRow, ListedVideo  # noqa: E402
from vidsearch.finetuning.frame_cache import FrameCache, spread  # noqa: E402
from vidsearch.finetuning.prepare import Prepared, examples_of, split  # noqa: E402
from vidsearch.media import MediaLimits, open_reader  # noqa: E402
from vidsearch.media.file_store import FileStore  # noqa: E402
from vidsearch.media.pixels import PixelRecipe  # noqa: E402
from vidsearch.media.torch_pixels import clip_pixels_torch  # noqa: E402

RECIPE = PixelRecipe(size=32, mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2))
SCENE = Scene(
    shape="star", colour="red", count=1, size="large", texture="solid", background="black"
)
CONTENT = "ab" * 32


def new_cache(folder: Path, *, frames: int = 3, recipe: PixelRecipe = RECIPE) -> FrameCache:
    store = FileStore(str(folder), setting="cache")
    return FrameCache(store, recipe, rate=1.0, sampling="played-at", frames=frames)


def prepared(contents: dict[str, str]) -> Prepared:
    rows = [CaptionRow(ListedVideo(key, (key,)), f"caption of {key}") for key in contents]
    return Prepared(Pairs.of(rows), contents, 0)


@pytest.mark.parametrize(
    ("number", "most", "expected"),
    [(5, 12, [0, 1, 2, 3, 4]), (12, 4, [0, 3, 7, 11]), (1, 3, [0]), (9, 1, [0])],
)
def test_frames_are_spread_from_the_first_to_the_last(
    number: int, most: int, expected: list[int]
) -> None:
    assert spread(number, most) == expected


def test_cached_pictures_are_those_that_the_encoder_sees(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", [Shot(scene=SCENE, seconds=6)], fps=2)
    cache = new_cache(tmp_path / "cache")
    with closing(open_reader(IngestSettings(), limits=MediaLimits())) as reader:
        assert cache.pictures(CONTENT) is None
        cache.add(CONTENT, clip, reader, max_damaged=0.5)
        with reader.frames(clip, rate=1.0, batch_size=8) as frames:
            pictures = [picture for batch in frames for _, picture in batch.frames()]
    kept = cache.pictures(CONTENT)

    assert kept is not None
    scale, shift = (each.reshape(3, 1, 1) for each in RECIPE.scale_and_shift)
    expected = clip_pixels_torch(np.stack(pictures)[[0, 2, 5]], RECIPE).numpy()
    np.testing.assert_array_equal(kept.astype(np.float32) * scale + shift, expected)


def test_pictures_of_another_recipe_or_number_are_not_taken(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", [Shot(scene=SCENE, seconds=3)], fps=2)
    folder = tmp_path / "cache"
    with closing(open_reader(IngestSettings(), limits=MediaLimits())) as reader:
        new_cache(folder).add(CONTENT, clip, reader, max_damaged=0.5)

    squashed = PixelRecipe(size=32, mean=RECIPE.mean, std=RECIPE.std, resize="squash")
    assert new_cache(folder).pictures(CONTENT) is not None
    assert new_cache(folder, frames=2).pictures(CONTENT) is None
    assert new_cache(folder, recipe=squashed).pictures(CONTENT) is None


def test_damaged_pictures_count_as_absent(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", [Shot(scene=SCENE, seconds=1)], fps=2)
    cache = new_cache(tmp_path / "cache")
    with closing(open_reader(IngestSettings(), limits=MediaLimits())) as reader:
        cache.add(CONTENT, clip, reader, max_damaged=0.5)
        (tmp_path / "no.mp4").write_bytes(b"no video")
        with pytest.raises(VideoError):
            cache.add("cd" * 32, tmp_path / "no.mp4", reader, max_damaged=0.5)
    (file,) = (path for path in (tmp_path / "cache").rglob("*.npy"))
    file.write_bytes(file.read_bytes()[:100])

    assert cache.pictures(CONTENT) is None


def test_copies_of_a_video_are_on_one_side() -> None:
    contents = {f"v{number}": f"{number % 4:064d}" for number in range(12)}

    sides = split(prepared(contents), share=0.25)

    of = [
        {contents[video.key] for video in side.videos} for side in (sides.train, sides.validation)
    ]
    assert not of[0] & of[1]
    assert [len(each) for each in of] == [3, 1]
    assert len(sides.validation.videos) == 3
    assert sides.test is None


def test_named_videos_make_the_sides() -> None:
    contents = {name: name * 64 for name in "abcdef"}

    sides = split(prepared(contents), share=0.5, validation={"a"}, test={"b", "c"})

    assert [video.key for video in sides.train.videos] == ["d", "e", "f"]
    assert [video.key for video in sides.validation.videos] == ["a"]
    assert sides.test is not None
    assert [video.key for video in sides.test.videos] == ["b", "c"]


def test_tested_videos_are_not_taken_for_validation() -> None:
    contents = {name: name * 64 for name in "abcdef"}

    sides = split(prepared(contents), share=0.5, test={"a", "b"})

    assert {video.key for video in sides.validation.videos} == {"c", "d"}


def test_one_video_cannot_be_parted() -> None:
    with pytest.raises(FineTuningError, match="no video is left for training"):
        split(prepared({"a": "a" * 64}), share=0.1)


def test_pictures_that_are_gone_are_named(tmp_path: Path) -> None:
    made = prepared({"a": "a" * 64})
    examples = examples_of(made.pairs, made.contents, new_cache(tmp_path))

    with pytest.raises(FineTuningError, match="pictures of 'a' are gone"):
        examples.pictures(0)
