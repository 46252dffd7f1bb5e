"""Primary keys as texts, which the ids of videos end with."""

from __future__ import annotations

import json
from typing import Any

from django.core.exceptions import ValidationError

__all__ = ["key_of_text", "text_of_key"]


def text_of_key(model: Any, pk: Any) -> str:
    """``42``; a JSON list of the parts of a composite primary key (Django 5.2): ``["7","fr"]``."""
    if not _is_composite(model):
        return str(model._meta.pk.to_python(pk))
    parts = zip(model._meta.pk_fields, pk, strict=True)
    texts = [str(field.to_python(part)) for field, part in parts]
    return json.dumps(texts, ensure_ascii=False, separators=(",", ":"))


def key_of_text(model: Any, text: str) -> Any:
    """The inverse of :func:`text_of_key`; ``None`` for the text of no key."""
    try:
        if _is_composite(model):
            parts = zip(model._meta.pk_fields, json.loads(text), strict=True)
            key: Any = tuple(field.to_python(part) for field, part in parts)
        else:
            key = model._meta.pk.to_python(text)
        # A list as a part becomes its text in a column of texts.
        return key if text_of_key(model, key) == text else None
    except (ValidationError, ValueError, TypeError):
        return None


def _is_composite(model: Any) -> bool:
    return len(getattr(model._meta, "pk_fields", ())) > 1
