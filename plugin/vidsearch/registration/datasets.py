"""Lists of well-known datasets, known by their columns."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["Dataset", "recognized"]


@dataclass(frozen=True, slots=True)
class Dataset:
    """How the list of a dataset is read."""

    name: str
    columns: Mapping[str, str]
    """Column → field; ``""`` leaves it out."""
    captions: str | None = None
    """Column with a text of the video. Rows of the same id are one video with all their texts."""
    suffix: str | None = None
    """Where no column holds the URI: what the file's name has after the id."""

    @property
    def told(self) -> str:
        """What becomes of its columns, for people."""
        return ", ".join(f"{column} is {field}" for column, field in self.columns.items() if field)


_WEBVID = Dataset("WebVid", {"videoid": "id", "contentUrl": "uri", "name": "title"})
_MSRVTT = Dataset(
    "MSR-VTT",
    {
        "video_id": "id",
        "sentence": "description",
        "caption": "description",
        "start time": "start_time",
        "end time": "end_time",
        "id": "",  # numbers within the dataset
        "key": "",
        "vid_key": "",
        "sen_id": "",
        "video": "",  # the file's name, which follows from the id
    },
    captions="sentence",
    suffix=".mp4",
)
_MSRVTT_COLUMNS = {"video_id", "url", "category", "split", "source", *_MSRVTT.columns}
_MSRVTT_ID = re.compile(r"video\d+")


def recognized(columns: Collection[str], first: Mapping[str, Any]) -> Dataset | None:
    """The dataset whose list has these columns and this first row; ``None`` for any other list."""
    if {"videoid", "contentUrl"} <= {*columns}:
        return _WEBVID
    if _MSRVTT_COLUMNS.issuperset(columns) and _MSRVTT_ID.fullmatch(str(first.get("video_id"))):
        return replace(_MSRVTT, captions="caption" if "caption" in columns else "sentence")
    return None
