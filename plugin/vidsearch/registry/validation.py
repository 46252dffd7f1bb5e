"""What may be registered."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from vidsearch.errors import RegistryError

__all__ = ["NewVideo", "check_id", "check_uri", "checked"]

_ID_BYTES = 512  # the engines' limit for a document's id
_URI_BYTES = 32_766  # the engines' limit for a keyword
# What stands before an @ in the authority. What follows a colon there and is no port is a password
# with a slash in it that is not encoded.
_CREDENTIALS = re.compile(
    r"\s*[A-Za-z][A-Za-z0-9+.-]+://(?:[^/?#]*@|[^/?#\[\]]*:(?!\d*(?:[/?#]|$)))"
)


@dataclass(frozen=True, slots=True)
class NewVideo:
    """A video to register; the arguments of :meth:`vidsearch.registry.Registry.register`."""

    id: str
    uri: str
    fields: Mapping[str, Any] | None = None
    routing: str | None = None


def checked(video: NewVideo, *, reserved: str, allow_credentials: bool) -> NewVideo:
    """A video that can be registered, with its fields as they will be read back from JSON.

    Raises:
        RegistryError: its id, its uri or a field cannot be stored; the message says which.
    """
    fields = _plain_fields(video.fields or {}, reserved=reserved)
    check_id(video.id)
    check_uri(video.uri, id=video.id, allow_credentials=allow_credentials)
    return replace(video, fields=fields)


def check_id(id: str) -> None:
    """Refuse an id that the engines would not store.

    Raises:
        RegistryError: nothing but dots and spaces, no Unicode, or longer than 512 bytes.
    """
    if not isinstance(id, str) or all(char == "." or char.isspace() for char in id):
        raise RegistryError(
            "a video's id must be a text with at least one character other than dots and spaces, "
            f"not {id!r}"
        )
    if _bytes(id, what=f"the id {id!r}") > _ID_BYTES:
        raise RegistryError(f"the id {id[:40]!r}… has more than {_ID_BYTES} bytes")


def check_uri(uri: str, *, id: str, allow_credentials: bool) -> None:
    """Refuse a uri that cannot name a video, or holds what is not to be stored.

    Raises:
        RegistryError: empty, no Unicode, longer than a keyword may be, or with credentials although
            these are not allowed.
    """
    if not isinstance(uri, str) or not uri.strip():
        raise RegistryError(f"video {id!r} needs a uri: give a path, file://, https:// or s3://…")
    if _bytes(uri, what=f"the uri of video {id!r}") > _URI_BYTES:
        raise RegistryError(f"the uri of video {id!r} has more than {_URI_BYTES} bytes")
    if not allow_credentials and _CREDENTIALS.match(uri):
        raise RegistryError(
            f"the uri of video {id!r} holds credentials, which would be stored in plain text. "
            "Register it without them, and set sources.headers or sources.resolver for the "
            "workers; or set sources.allow_credentials to store them"
        )


def _plain_fields(fields: Mapping[str, Any], *, reserved: str) -> dict[str, Any]:
    for name in fields:
        if not isinstance(name, str) or not name.strip(". "):
            raise RegistryError(f"a field's name must be a text, not {name!r}")
        if name.partition(".")[0] == reserved:
            raise RegistryError(
                f"field {name!r} is taken: {reserved!r} is the object that holds vidsearch's own "
                "data (setting index.field)"
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
