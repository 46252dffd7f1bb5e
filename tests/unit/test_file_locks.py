"""Locked files of this machine and user."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from vidsearch.config import SourceSettings
from vidsearch.errors import TemporaryFolderError
from vidsearch.media.file_locks import locks_folder, opened_lock, try_lock
from vidsearch.media.sources.host_slots import host_slot

_NAME = f"vidsearch-hosts-{os.geteuid()}"


def _open_to_all(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)


def _open_to_the_group(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o770)


def _a_link(folder: Path) -> None:
    other = folder.with_name("other")
    other.mkdir(mode=0o700)
    folder.symlink_to(other)


def test_folder_of_locks_is_of_this_user_alone_and_made_once(tmp_path: Path) -> None:
    folder = locks_folder(tmp_path, "hosts")
    assert folder == tmp_path / _NAME
    assert folder.stat().st_mode & 0o777 == 0o700
    assert locks_folder(tmp_path, "hosts") == folder


@pytest.mark.parametrize("prepare", [_open_to_all, _open_to_the_group, _a_link])
def test_folder_that_another_user_may_have_prepared_is_refused(
    prepare: Callable[[Path], None], tmp_path: Path
) -> None:
    prepare(tmp_path / _NAME)
    settings = SourceSettings(per_host=1, folder=tmp_path)
    with (
        pytest.raises(TemporaryFolderError, match=rf"{_NAME}' is not a folder .* remove it"),
        host_slot("host", settings, where="it"),
    ):
        pass


def test_folder_of_another_owner_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(OSError, match="this user alone"):
        locks_folder(tmp_path, "hosts")


def test_link_in_the_place_of_a_lock_is_not_followed(tmp_path: Path) -> None:
    link, target = tmp_path / "lock", tmp_path / "target"
    link.symlink_to(target)
    with ExitStack() as stack, pytest.raises(OSError, match="symbolic link"):
        opened_lock(link, stack)
    assert not target.exists()


def test_lock_is_held_by_one_until_it_is_closed(tmp_path: Path) -> None:
    with ExitStack() as later:
        with ExitStack() as first:
            assert try_lock(opened_lock(tmp_path / "lock", first))
            assert not try_lock(opened_lock(tmp_path / "lock", later))
        assert try_lock(opened_lock(tmp_path / "lock", later))
