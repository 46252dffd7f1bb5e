"""From a file that lists videos to the videos to register: CSV, JSON and Parquet."""

from __future__ import annotations

from vidsearch.registration.ids import IdFrom, absolute_uri, stable_id
from vidsearch.registration.tables import Format
from vidsearch.registration.video_list import Row, VideoList

__all__ = ["Format", "IdFrom", "Row", "VideoList", "absolute_uri", "stable_id"]
