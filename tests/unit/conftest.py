"""Fixtures of several unit tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.django_site import Site, open_site

from vidsearch.media.ffmpeg_messages import allow_listening
from vidsearch.testing.clips import solid, write_clip

allow_listening()  # as a decoding process does
COLOURS = {"red": (255, 0, 0), "blue": (0, 0, 255), "green": (0, 255, 0)}


@pytest.fixture(scope="session")
def colour_clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a short clip of each colour: ``red.mp4``, …"""
    folder = tmp_path_factory.mktemp("colours")
    for name, colour in COLOURS.items():
        write_clip(folder / f"{name}.mp4", [0, 0.5, 1], picture=solid(colour), rate=2)
    return folder


@pytest.fixture
def site(colour_clips: Path, tmp_path: Path) -> Iterator[Site]:
    """A Django site with films, whose files are in ``tmp_path``, and vidsearch in this process."""
    shutil.copytree(colour_clips, tmp_path, dirs_exist_ok=True)
    with open_site(tmp_path) as site:
        yield site
