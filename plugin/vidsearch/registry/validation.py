"""What may be registered."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from dataclasses import fields as dataclass_fields
from datetime import date, time
from functools import partial
from numbers import Real
from typing import Any

from vidsearch.credentials import holds_credentials
from vidsearch.errors import RegistryError
from vidsearch.json_values import GREATEST, LEAST, MAX_LEVELS, is_deep
from vidsearch.signed_urls import same_file
from vidsearch_mappings.registry import PRIORITIES, Priority

__all__ = ["NewVideo", "check_id", "check_uri", "checked", "checked_fields"]

_ID_BYTES = 512  # the engines' limit for a document's id
_URI_BYTES = 32_766  # the engines' limit for a keyword

_OF_ENGINES = frozenset(
    {"_id", "_index", "_source", "_routing", "_field_names", "_ignored", "_ignored_source"}
    | {"_seq_no", "_primary_term", "_version", "_nested_path"}
    | {"_data_stream_timestamp"}
)
"""Names that a document cannot have at its top."""


@dataclass(frozen=True, slots=True)
class NewVideo:
    """A video to register; the arguments of :meth:`vidsearch.registry.Registry.register`."""

    id: str
    uri: str
    fields: Mapping[str, Any] | None = None
    """``None``: none, and those that it has where it is registered already."""
    routing: str | None = None
    priority: Priority | None = None
    """``None``: that of the call."""
    defaults: Mapping[str, Any] | None = None
    """Fields beside ``fields`` of a video that is not registered yet. Where this is not ``None``,
    one that is keeps the fields that ``fields`` does not name."""

    def is_same(self, other: NewVideo) -> bool:
        """Whether they are equal, but for the signatures of their URIs: the later one counts."""
        return same_file(self.uri, other.uri) and replace(self, uri=other.uri) == other


def checked(
    video: NewVideo | Mapping[str, Any], *, reserved: str, allow_credentials: bool
) -> NewVideo:
    """A video that can be registered, with its fields as they will be read back from JSON.

    Raises:
        RegistryError: its id, its uri or a field cannot be stored; the message says which.
    """
    if not isinstance(video, NewVideo):
        video = _new_video(video)
    check_id(video.id)
    check_uri(video.uri, id=video.id, allow_credentials=allow_credentials)
    _check_priority(video.priority, id=video.id)
    plain = partial(checked_fields, id=video.id, reserved=reserved)
    return replace(
        video,
        fields=None if video.fields is None else plain(video.fields),
        defaults=None if video.defaults is None else plain(video.defaults),
    )


def _new_video(video: Mapping[str, Any]) -> NewVideo:
    known = [each.name for each in dataclass_fields(NewVideo)]
    if not isinstance(video, Mapping):
        # Its type alone: a bare URI may hold a password.
        raise RegistryError(
            f"a video is a NewVideo or a dict of {', '.join(known)}, not a {type(video).__name__}"
        )
    if unknown := [name for name in video if name not in known]:
        raise RegistryError(
            f"video {video.get('id')!r}: {unknown[0]!r} is none of {', '.join(known)}; the "
            "document's own fields go into `fields`"
        )
    return NewVideo(**{"id": None, "uri": None, **video})


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
    if not allow_credentials and holds_credentials(uri):
        raise RegistryError(
            f"the uri of video {id!r} holds credentials, which would be stored in plain text. "
            "Register it without them, and set sources.headers or sources.resolver for the "
            "workers; or set sources.allow_credentials to store them. (An @ of the path can be "
            "written %40)"
        )


def _check_priority(priority: str | None, *, id: str) -> None:
    """Refuse what is no priority.

    Raises:
        RegistryError: see above.
    """
    if priority is not None and priority not in PRIORITIES:
        names = " or ".join(map(repr, PRIORITIES))
        raise RegistryError(f"the priority of video {id!r} is {priority!r}: give {names}")


def checked_fields(
    fields: Mapping[str, Any] | None, *, id: str, reserved: str, none_removes: bool = False
) -> dict[str, Any]:
    """The fields of a document as they will be read back from JSON.

    ``none_removes``: fields that are ``None`` may have any name, as they are to be taken away.

    Raises:
        RegistryError: a name or a value cannot be stored; the message says which.
    """
    if fields is not None and not isinstance(fields, Mapping):
        raise RegistryError(f"the fields of video {id!r} must be a dict, not {fields!r}")
    plain: dict[str, Any] = {}
    for name, value in (fields or {}).items():
        kept = not none_removes or value is not None
        if not isinstance(name, str) or (kept and not _is_name(name)):
            raise RegistryError(
                f"a field's name must be a text, without a dot in front or two in a row, not "
                f"{name!r} (video {id!r})"
            )
        if name.partition(".")[0] == reserved:
            raise RegistryError(
                f"field {name!r} is taken: {reserved!r} is the object that holds vidsearch's own "
                f"data (setting index.field; video {id!r})"
            )
        if kept and name in _OF_ENGINES:
            raise RegistryError(
                f"field {name!r} of video {id!r} is one that the engines keep themselves: give it "
                "another name"
            )
        _bytes(name, what=f"the name {name!r} of a field of video {id!r}")
        if is_deep(value):
            raise RegistryError(
                f"field {name!r} of video {id!r} has more than {MAX_LEVELS} lists and objects "
                "inside each other"
            )
        plain[name] = _plain(value, what=f"field {name!r} of video {id!r}")
    return plain


def _is_name(name: str) -> bool:
    """Whether the engines take it at the top of a document: they read dots as objects inside each
    other, but for those at the end. Below, it depends on the mapping."""
    return all(part.strip() for part in name.rstrip(".").split("."))


def _plain(value: Any, *, what: str) -> Any:
    """A value as it is read back from JSON; ``what`` names its place."""
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                raise RegistryError(f"{what} has a name that is no text: {name!r}")
            _bytes(name, what=f"{what}, {name!r}")
        return {str(name): _plain(each, what=f"{what}, {name!r}") for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each, what=f"{what}, item {at}") for at, each in enumerate(value)]
    if isinstance(value, str):
        _bytes(value, what=what)
        return str(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and not LEAST <= value <= GREATEST:
        raise RegistryError(f"{what} is {value}, and engines keep whole numbers of 64 bits")
    if isinstance(value, float) and not math.isfinite(value):
        raise RegistryError(f"{what} is {value}, which JSON lacks: leave it out, or give None")
    if isinstance(value, (int, float)):
        return float(value) if isinstance(value, float) else int(value)
    kind = type(value).__name__
    article = "an" if kind[0] in "aeiou" else "a"
    raise RegistryError(f"{what} is {article} {kind}, which JSON lacks: {_way_out(value)}")


def _way_out(value: Any) -> str:
    if isinstance(value, (date, time)):
        return "give its text, value.isoformat()"
    if str(getattr(value, "dtype", "")) in {"float16", "float32"}:  # 4.2 is 4.199999… in 64 bits
        if isinstance(value, Real):
            if float(value).is_integer():  # in few digits it would be another one
                return "give Python's own number, value.item()"
            return "give Python's own number in its digits, float(str(value))"
        return "give a list of Python's own numbers, [float(str(each)) for each in value]"
    if hasattr(value, "tolist"):
        return "give Python's own number or list, value.tolist()"
    return "give a text, number, truth value, None, list or dict"


def _bytes(text: str, *, what: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:  # half a surrogate pair, as from a name that is no UTF-8
        raise RegistryError(f"{what} is no text in Unicode: {error.reason}") from error
