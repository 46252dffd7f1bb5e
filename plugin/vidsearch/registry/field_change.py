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
