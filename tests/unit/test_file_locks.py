"""Locked files of this machine and user."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from vidsearch.config import SourceSettings
from vidsearch.errors import TemporaryFolderError
from vidsearch.media.file_locks import locks_folder, opened_lock, try_lock
from vidsearch.media.sources.host_slots import host_slot

_NAME = f"vidsearch-hosts-{os.geteuid()}"


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder that every user may write to, as the temporary folder of the system is."""
    tmp_path.chmod(0o1777)
    return tmp_path


def test_folder_of_locks_is_of_this_user_alone_and_made_once(tmp_path: Path) -> None:
    folder = locks_folder(tmp_path, "hosts")
    assert folder == tmp_path / _NAME
    assert folder.stat().st_mode & 0o777 == 0o700
    assert locks_folder(tmp_path, "hosts") == folder


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o755])
def test_own_folder_of_locks_is_taken_from_others_where_all_may_write(
    mode: int, shared: Path
) -> None:
    (shared / _NAME).mkdir()
    (shared / _NAME).chmod(mode)
    folder = locks_folder(shared, "hosts")
    assert not folder.stat().st_mode & 0o022


def test_folder_of_locks_stays_as_it_is_where_no_other_may_have_made_it(tmp_path: Path) -> None:
    (tmp_path / _NAME).mkdir()
    (tmp_path / _NAME).chmod(0o2770)  # as volumes of Kubernetes with fsGroup are
    tmp_path.chmod(0o2770)
    assert locks_folder(tmp_path, "hosts").stat().st_mode & 0o7777 == 0o2770


def test_link_in_the_place_of_the_folder_is_refused_where_all_may_write(shared: Path) -> None:
    other = shared / "other"
    other.mkdir(mode=0o700)
    (shared / _NAME).symlink_to(other)
    settings = SourceSettings(per_host=1, folder=shared)
    with (
        pytest.raises(TemporaryFolderError, match=rf"{_NAME}' is not a folder .* remove it"),
        host_slot("host", settings, where="it"),
    ):
        pass


def _give_away(monkeypatch: pytest.MonkeyPatch, *, what: str) -> None:
    """Have the folders whose name begins with ``what`` belong to another user."""
    real = os.lstat

    def lstat(path: Any, **kwargs: Any) -> os.stat_result:
        status = real(path, **kwargs)
        if not Path(path).name.startswith(what):
            return status
        return os.stat_result((*status[:4], os.geteuid() + 1, *status[5:10]))

    monkeypatch.setattr("vidsearch.media.file_locks.os.lstat", lstat)


def test_folder_of_another_owner_is_refused_where_all_may_write(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _give_away(monkeypatch, what=_NAME)
    with pytest.raises(OSError, match="not a folder of this user"):
        locks_folder(shared, "hosts")
    assert [path.name for path in shared.iterdir()] == [_NAME]


def test_folder_of_a_file_system_that_gives_all_to_one_user_is_taken(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _give_away(monkeypatch, what="vidsearch-")
    assert locks_folder(shared, "hosts") == shared / _NAME


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
