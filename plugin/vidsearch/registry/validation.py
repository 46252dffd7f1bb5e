"""What may be registered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from vidsearch.errors import RegistryError

__all__ = ["check_fields", "check_id", "check_uri"]

_ID_BYTES = 512  # the engines' limit for a document's id
_URI_BYTES = 32_766  # the engines' limit for a keyword


def check_id(id: str) -> None:
    """Refuse an id that the engines would not store.

    Raises:
        RegistryError: empty, nothing but dots, no Unicode, or longer than 512 bytes.
    """
    if not isinstance(id, str) or not id.strip().strip("."):
        raise RegistryError(f"a video's id must be a text with at least one letter, not {id!r}")
    if _bytes(id, what=f"the id {id!r}") > _ID_BYTES:
        raise RegistryError(f"the id {id[:40]!r}… has more than {_ID_BYTES} bytes")


def check_uri(uri: str, *, id: str) -> None:
    """Refuse a uri that cannot name a video.

    Raises:
        RegistryError: empty, no Unicode, or longer than a keyword may be.
    """
    if not isinstance(uri, str) or not uri.strip():
        raise RegistryError(f"video {id!r} needs a uri: a path, file://, http:// or https://")
    if _bytes(uri, what=f"the uri of video {id!r}") > _URI_BYTES:
        raise RegistryError(f"the uri of video {id!r} has more than {_URI_BYTES} bytes")


def check_fields(fields: Mapping[str, Any], *, reserved: str) -> dict[str, Any]:
    """The host's fields as they will be read back from JSON.

    Raises:
        RegistryError: a name that is ours, or a value that is no JSON.
    """
    for name in fields:
        if not isinstance(name, str) or not name.strip(". "):
            raise RegistryError(f"a field's name must be a text, not {name!r}")
        if name.partition(".")[0] == reserved:
            raise RegistryError(
                f"field {name!r} is taken: our own data stands under {reserved!r} "
                "(setting index.field)"
            )
    try:
        text = json.dumps(dict(fields), allow_nan=False, ensure_ascii=False).encode()
        plain: dict[str, Any] = json.loads(text)
    except (TypeError, ValueError) as error:
        raise RegistryError(f"fields must be plain JSON values: {error}") from error
    return plain


def _bytes(text: str, *, what: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:  # half a surrogate pair, as from a name that is no UTF-8
        raise RegistryError(f"{what} is no text in Unicode: {error.reason}") from error
