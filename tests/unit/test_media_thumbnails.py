"""The picture that stands for a moment, and where it is kept."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from vidsearch.config import ThumbnailSettings
from vidsearch.errors import ConfigError, MissingExtraError, SourceUnavailableError
from vidsearch.media import Candidates, FrameBatch, SegmentSpan, ThumbnailStore
from vidsearch.media.thumbnails.pictures import look_of, shrunk

Frame = NDArray[np.uint8]


def grey(level: int, *, height: int = 180, width: int = 320) -> Frame:
    return np.full((height, width, 3), level, dtype=np.uint8)


def scene(number: int, *, blur: float = 0, height: int = 180, width: int = 320) -> Frame:
    """A picture with edges; the same number gives the same picture."""
    small = np.random.default_rng(number).integers(0, 256, (9, 16, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(blur)))


def opened(data: bytes) -> Frame:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def resembles(data: bytes, frame: Frame) -> bool:
    small = np.asarray(Image.fromarray(frame).resize(opened(data).shape[1::-1]))
    return float(np.abs(opened(data).astype(float) - small).mean()) < 12


@pytest.fixture
def candidates() -> Iterator[Candidates]:
    with Candidates() as candidates:
        yield candidates


def add(candidates: Candidates, *frames: Frame, batch_size: int = 4) -> None:
    for first in range(0, len(frames), batch_size):
        part = np.stack(frames[first : first + batch_size])
        times = np.arange(len(candidates), len(candidates) + len(part), dtype=np.float64)
        candidates.add(FrameBatch(data=part, pts_seconds=times))


class TestChoice:
    def test_sharpest_frame_is_taken(self, candidates: Candidates) -> None:
        add(candidates, *(scene(i, blur=0 if i == 6 else 3) for i in range(10)))
        assert resembles(candidates.best(SegmentSpan(0, 10, 0, 10)), scene(6))

    def test_middle_one_of_equally_sharp_frames_is_taken(self, candidates: Candidates) -> None:
        add(candidates, *(scene(1) // 2 + np.uint8(10 * i) for i in range(11)))
        assert opened(candidates.best(SegmentSpan(0, 11, 0, 11))).mean() == pytest.approx(
            float((scene(1) // 2 + np.uint8(50)).mean()), abs=3
        )

    def test_only_frames_of_the_segment_are_taken(self, candidates: Candidates) -> None:
        add(
            candidates,
            *(scene(i, blur=0 if i in {4, 10} else 1 if i == 8 else 4) for i in range(11)),
        )
        assert resembles(candidates.best(SegmentSpan(5, 10, 5, 10)), scene(8, blur=1))

    @pytest.mark.parametrize("level", [0, 128, 255])
    def test_blank_frames_are_skipped(self, candidates: Candidates, level: int) -> None:
        noise = np.random.default_rng(0).integers(-3, 4, (180, 320, 3))
        flat = np.clip(grey(level) + noise, 0, 255).astype(np.uint8)  # as sharp as can be
        add(candidates, scene(0, blur=6), *[flat] * 8)
        assert resembles(candidates.best(SegmentSpan(0, 9, 0, 9)), scene(0, blur=6))

    def test_black_video_has_a_thumbnail(self, candidates: Candidates) -> None:
        add(candidates, *[grey(0)] * 3)
        assert opened(candidates.best(SegmentSpan(0, 3, 0, 3))).max() < 10

    def test_least_blank_of_dark_frames_is_taken(self, candidates: Candidates) -> None:
        faint = grey(0)
        faint[50:90, 50:90] = 30
        add(candidates, grey(0), grey(2), grey(0), faint)
        assert opened(candidates.best(SegmentSpan(0, 4, 0, 4))).max() > 20

    def test_single_frame_has_a_thumbnail(self, candidates: Candidates) -> None:
        add(candidates, scene(3))
        assert resembles(candidates.best(SegmentSpan(0, 0, 0, 1)), scene(3))

    @pytest.mark.parametrize("segment", [SegmentSpan(0, 9, 0, 9), SegmentSpan(0, 1, 1, 1)])
    def test_window_without_added_frames_is_refused(
        self, candidates: Candidates, segment: SegmentSpan
    ) -> None:
        add(candidates, scene(0))
        with pytest.raises(IndexError, match="beyond the 1"):
            candidates.best(segment)


class TestPictures:
    @pytest.mark.parametrize("format", ["webp", "jpeg"])
    @pytest.mark.parametrize(
        ("height", "width", "expected"),
        [
            (1080, 1920, (180, 320)),
            (1920, 1080, (320, 180)),
            (48, 64, (48, 64)),
            (2, 900, (1, 320)),
        ],
    )
    def test_thumbnail_has_format_and_size_of_the_settings(
        self, format: Any, height: int, width: int, expected: tuple[int, int]
    ) -> None:
        with Candidates(size=320, format=format) as candidates:
            add(candidates, scene(1, height=height, width=width))
            data = candidates.best(SegmentSpan(0, 1, 0, 1))
        image = Image.open(io.BytesIO(data))
        assert image.format == format.upper()
        assert image.size == expected[::-1]
        assert len(data) < 40_000

    def test_the_size_of_pictures_may_change_within_a_video(self, candidates: Candidates) -> None:
        for number, (height, width) in enumerate([(90, 160), (240, 320)]):
            frame = scene(number, height=height, width=width)[None]
            candidates.add(FrameBatch(data=frame, pts_seconds=np.array([float(number)])))
        assert opened(candidates.best(SegmentSpan(0, 1, 0, 1))).shape == (90, 160, 3)
        assert opened(candidates.best(SegmentSpan(1, 2, 1, 2))).shape == (240, 320, 3)

    def test_blur_lowers_the_sharpness(self) -> None:
        looks = [
            look_of(shrunk(scene(1, blur=blur, height=360, width=640), size=320))
            for blur in (0, 1, 2, 4)
        ]
        values = [look.sharpness for look in looks]
        assert values == sorted(values, reverse=True)
        assert values[0] > 10 * values[-1]

    def test_missing_pillow_is_reported_with_its_extra(
        self, monkeypatch: pytest.MonkeyPatch, candidates: Candidates
    ) -> None:
        frame = scene(0)
        monkeypatch.setitem(sys.modules, "PIL", None)
        with pytest.raises(MissingExtraError, match="making thumbnails"):
            add(candidates, frame)


class TestSpool:
    def test_memory_does_not_grow_with_the_number_of_frames(self, candidates: Candidates) -> None:
        add(candidates, *(scene(i) for i in range(8)))
        frames = np.stack([scene(i) for i in range(16)])
        process = psutil.Process()
        before = process.memory_info().rss
        for first in range(8, 2408, 16):
            times = np.arange(first, first + 16, dtype=np.float64)
            candidates.add(FrameBatch(data=frames, pts_seconds=times))
        grown = process.memory_info().rss - before
        assert len(candidates) == 2408
        assert grown < 40 * 2**20  # as arrays the small pictures would be 400 MB
        assert resembles(candidates.best(SegmentSpan(2400, 2401, 2400, 2401)), scene(8))

    def test_closed_candidates_leave_no_files(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        monkeypatch.setattr("vidsearch.media.thumbnails.candidates._IN_MEMORY", 1000)
        with Candidates() as candidates:
            add(candidates, *(scene(i) for i in range(4)))
            assert resembles(candidates.best(SegmentSpan(3, 4, 3, 4)), scene(3))
        assert list(tmp_path.iterdir()) == []

    def test_full_disk_is_an_outage(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, candidates: Candidates
    ) -> None:
        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(candidates._file, "write", full)
        with pytest.raises(SourceUnavailableError, match="No space left on device"):
            add(candidates, scene(0))


class TestStore:
    def test_key_is_the_hash_of_the_content(self, tmp_path: Path) -> None:
        store = ThumbnailStore(str(tmp_path / "pictures"))
        key = store.put(b"a picture")
        digest = hashlib.sha256(b"a picture").hexdigest()
        assert key == f"{digest[:2]}/{digest}.webp"
        assert (tmp_path / "pictures" / key).read_bytes() == b"a picture"

    @pytest.mark.parametrize("form", ["{}", "file://{}", "{}/"])
    def test_folder_is_given_as_a_path_or_url(self, tmp_path: Path, form: str) -> None:
        folder = tmp_path / "with space"
        key = ThumbnailStore(form.format(folder), format="jpeg").put(b"x")
        assert key.endswith(".jpeg")
        assert (folder / key).read_bytes() == b"x"

    def test_recent_thumbnail_is_not_written_again(self, tmp_path: Path) -> None:
        key = ThumbnailStore(str(tmp_path)).put(b"x")
        before = time.time() - 1800
        os.utime(tmp_path / key, (before, before))
        assert ThumbnailStore(str(tmp_path)).put(b"x") == key
        assert (tmp_path / key).stat().st_mtime == pytest.approx(before, abs=1)

    def test_old_thumbnail_is_written_again(self, tmp_path: Path) -> None:
        store = ThumbnailStore(str(tmp_path))
        key = store.put(b"x")
        os.utime(tmp_path / key, (1, 1))
        assert store.put(b"x") == key
        assert (tmp_path / key).stat().st_mtime == pytest.approx(time.time(), abs=60)
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / key]

    def test_readers_never_see_an_incomplete_thumbnail(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = ThumbnailStore(str(tmp_path))
        written = threading.Event()
        pipe_file = store._store._files.pipe_file

        def broken(path: str, value: bytes) -> None:
            pipe_file(path, value[:3])
            written.set()
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(store._store._files, "pipe_file", broken)
        with pytest.raises(SourceUnavailableError, match="No space left on device"):
            store.put(b"a picture")
        assert written.is_set()
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

    def test_thumbnails_are_readable_by_others(self, tmp_path: Path) -> None:
        key = ThumbnailStore(str(tmp_path)).put(b"x")
        umask = os.umask(0)
        os.umask(umask)
        assert (tmp_path / key).stat().st_mode & 0o777 == 0o666 & ~umask

    def test_concurrent_writers_of_one_thumbnail_succeed(self, tmp_path: Path) -> None:
        keys: list[str] = []
        threads = [
            threading.Thread(target=lambda: keys.append(ThumbnailStore(str(tmp_path)).put(b"x")))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(keys) == 8
        assert len(set(keys)) == 1
        assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == [Path(keys[0]).name]

    def test_other_fsspec_file_systems_are_written(self) -> None:
        files = fsspec.filesystem("memory")
        try:
            key = ThumbnailStore("memory://vidsearch-test/pictures").put(b"x")
            assert files.cat(f"/vidsearch-test/pictures/{key}") == b"x"
        finally:
            files.rm("/vidsearch-test", recursive=True)

    def test_settings_choose_store_format_and_size(self, tmp_path: Path) -> None:
        assert ThumbnailStore.of(ThumbnailSettings()) is None
        store = ThumbnailStore.of(ThumbnailSettings(url=str(tmp_path), format="jpeg", size=100))
        assert store is not None
        assert store.form == "jpeg-100"
        with Candidates.of(store) as candidates:
            add(candidates, scene(0))
            picture = Image.open(io.BytesIO(candidates.best(SegmentSpan(0, 1, 0, 1))))
        assert (picture.format, picture.size) == ("JPEG", (100, 56))

    @pytest.mark.parametrize("url", ["nonsense://bucket/x", "s3://", "", "  "])
    def test_url_that_names_no_folder_is_refused(self, url: str) -> None:
        with pytest.raises(ConfigError, match=r"thumbnails\.url"):
            ThumbnailStore(url)

    @pytest.mark.parametrize(
        ("url", "module", "extra"),
        [("gs://bucket/x", "gcsfs", "gcs"), ("az://bucket/x", "adlfs", "azure")],
    )
    def test_missing_extra_is_reported(
        self, monkeypatch: pytest.MonkeyPatch, url: str, module: str, extra: str
    ) -> None:
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(MissingExtraError, match=rf"vidsearch\[{extra}\]"):
            ThumbnailStore(url)

    def test_folder_that_cannot_be_created_is_reported(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(ConfigError, match=r"file/pictures"):
            ThumbnailStore(str(tmp_path / "file" / "pictures")).put(b"x")

    def test_folder_without_write_rights_is_reported(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:  # root, whom tests may run as, may write
            raise PermissionError(errno.EACCES, "Permission denied")

        store = ThumbnailStore(str(tmp_path))
        monkeypatch.setattr(store._store._files, "makedirs", refuse)
        with pytest.raises(ConfigError, match="refuses to be written to"):
            store.put(b"x")

    @pytest.mark.parametrize(
        ("url", "error", "shown_url"),
        [
            (
                "ftp://user:s3cret@127.0.0.1:1/x?token=s3cret",
                SourceUnavailableError,
                "ftp://127.0.0.1:1/x",
            ),
            ("ftp://user:s3cr/et@127.0.0.1:1/x", ConfigError, "ftp:…"),
        ],
    )
    def test_credentials_of_the_url_are_masked(
        self, url: str, error: type[Exception], shown_url: str
    ) -> None:
        with pytest.raises(error, match=f"'{re.escape(shown_url)}'") as caught:
            ThumbnailStore(url)
        shown = "".join(traceback.format_exception(caught.value))
        assert "s3cr" not in shown
