"""Which rows of a list came before, in memory that does not grow with the list."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import blake2b

from vidsearch.registry import NewVideo
from vidsearch.signed_urls import without_signature

__all__ = ["Repeats"]


class Repeats:
    """The ids so far, with what they stand for. SQLite moves them to a temporary file."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.execute(
            "CREATE TABLE seen (id BLOB PRIMARY KEY, video BLOB, uri BLOB, line) WITHOUT ROWID"
        )

    @classmethod
    @contextmanager
    def none_yet(cls) -> Iterator[Repeats]:
        """Of a list that is about to be read."""
        with closing(sqlite3.connect("", isolation_level=None)) as database:
            database.execute("PRAGMA journal_mode = OFF")
            yield cls(database)

    def first(self, video: NewVideo, line: int) -> tuple[int, bool] | None:
        """The line of the first row with this id, and whether it is the same video; ``None``, and
        noted, for a new id, and for the same video whose URL is signed anew: the last one counts.
        """
        id, uri = _digest(video.id), _digest(video.uri)
        said = [without_signature(video.uri), video.fields]
        whole = _digest(json.dumps(said, sort_keys=True, default=repr))
        new = self._database.execute(
            "INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?)", (id, whole, uri, line)
        )
        if new.rowcount:
            return None
        before, signed, at = self._database.execute(
            "SELECT video, uri, line FROM seen WHERE id = ?", (id,)
        ).fetchone()
        if before == whole and signed != uri:
            self._database.execute("UPDATE seen SET uri = ? WHERE id = ?", (uri, id))
            return None
        return at, before == whole


def _digest(text: str) -> bytes:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()
