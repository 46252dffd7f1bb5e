"""What one caller has changed of a video's fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["FieldChange"]

_ABSENT = object()


@dataclass(frozen=True, slots=True)
class FieldChange:
    """What one caller has changed of a video's fields, apart from what others change meanwhile."""

    fields: Mapping[str, Any]
    """Their values, as the record has them."""
    removed: frozenset[str] | None = frozenset()
    """Names of those that were taken away; ``None``: all but ``fields``."""
    before: Mapping[str, Any] | None = None
    """The fields that the record had; of a video that is not indexed the document that is there may
    be of another file, and has others."""
    uri: str | None = None
    """Of the file that the fields were registered for; ``None`` where they are of the video,
    whichever file it has."""

    def applied(self, record: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a document with the change, but for what another caller has changed since.

        Args:
            record: the fields of the record as it stands.
            document: those of the document.
        """
        return self._moved(document, to=record, record=record, document=document)

    def taken_back(self, record: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of the record without the change, as the document has kept them."""
        return self._moved(record, to=document, record=record, document=document)

    def former(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the record had before the change, as far as that is known: where it had the same
        value already, an earlier try of the change broke off, and the document tells."""
        if self.before is None:
            return document
        names = {*self.fields, *(self.removed or ())}
        again = {
            name
            for name in names
            if self.before.get(name, _ABSENT) == self.fields.get(name, _ABSENT)
        }
        kept = {name: value for name, value in self.before.items() if name not in again}
        return kept | {name: document[name] for name in again & document.keys()}

    def _moved(
        self,
        fields: Mapping[str, Any],
        *,
        to: Mapping[str, Any],
        record: Mapping[str, Any],
        document: Mapping[str, Any],
    ) -> dict[str, Any]:
        others = document.keys() - self.fields.keys() if self.removed is None else self.removed
        after = dict(fields)
        for name in (*self.fields, *sorted(others)):
            if record.get(name, _ABSENT) != self.fields.get(name, _ABSENT):
                continue  # whoever has changed it since sees to it
            if name in to:
                after[name] = to[name]
            else:
                after.pop(name, None)
        return after
