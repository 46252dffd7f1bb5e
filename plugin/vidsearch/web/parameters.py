"""Search requests from what clients send: query strings, forms and JSON."""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from vidsearch.config import Settings
from vidsearch.errors import QueryError
from vidsearch.json_values import quoted
from vidsearch.search import SearchRequest
from vidsearch.web.limits import check_sizes, default_k

__all__ = ["image_of", "request_from_json", "request_from_pairs"]

_MAGICS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8")
_AVIF, _HEIC = frozenset({b"avif", b"avis"}), frozenset({b"heic", b"heix", b"heim", b"heis"})
_BRANDS = 256
"""Bytes in which a file of ISO media names what it can be read as."""


def request_from_pairs(
    pairs: Iterable[tuple[str, str]], settings: Settings, *, image: bytes | None = None
) -> SearchRequest:
    """The request of a query string or a form.

    A value is a text, or JSON where the argument takes no text (``k=5``, ``filter={"tags": "a"}``).
    A list is JSON, separated by commas, or the argument repeated. Empty values are passed over, as
    a form sends them for what nobody filled in.

    Args:
        pairs: names and values.
        settings: of the search.
        image: an uploaded file.

    Raises:
        QueryError: an argument is wrong, or there is no such argument.
    """
    given: dict[str, list[str]] = {}
    for name, text in pairs:
        if text.strip():
            given.setdefault(name, []).append(text)
    SearchRequest.require_known(given)
    data = {name: _value(name, texts) for name, texts in given.items()}
    if image is not None:
        data["image"] = image
    return request_from_json(data, settings)


def request_from_json(data: Any, settings: Settings) -> SearchRequest:
    """The request of a JSON object, in which an image is bytes or base64.

    Raises:
        QueryError: an argument is wrong or larger than the settings let it be, or there is no such
            argument.
    """
    if not isinstance(data, Mapping):
        raise QueryError(f"a search request is a JSON object, not {type(data).__name__}")
    SearchRequest.require_known(data)
    check_sizes(data, settings)
    if data.get("clip") is not None:
        raise QueryError("clip cannot be searched by over HTTP: upload an image", argument="clip")
    if data.get("image") is not None:
        data = {**data, "image": image_of(data["image"])}
    if "k" not in data:
        data = {**data, "k": default_k(settings)}
    return SearchRequest.of(None, data, window=settings.search.window)


def image_of(value: Any) -> bytes:
    """The bytes of an image that came as such, in base64 or as a ``data:`` URL.

    Raises:
        QueryError: a path, another URL, or in none of the formats that are read.
    """
    if isinstance(value, str):
        text = value.partition(",")[2] if value.startswith("data:") else value
        try:
            value = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise QueryError(
                "image must be uploaded, or sent in base64; paths and URLs are not read",
                argument="image",
            ) from error
    if not isinstance(value, bytes) or not _is_picture(value):
        raise QueryError(
            "image must be a file of JPEG, PNG, WebP, GIF or AVIF, uploaded or in base64"
            + _but(value),
            argument="image",
        )
    return value


def _is_picture(data: bytes) -> bool:
    """Whether it begins as a format that is read in this process; others run programs."""
    return (
        data.startswith(_MAGICS)
        or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")
        or not _AVIF.isdisjoint(_brands(data))
    )


def _brands(data: bytes) -> set[bytes]:
    """What a file of ISO media can be read as; AVIF need not be the first, as of other pictures."""
    if data[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(data[:4], "big"), len(data), _BRANDS)
    return {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}


def _but(data: Any) -> str:
    """What it is instead, where it is what phones, scanners and older programs make."""
    if not isinstance(data, bytes):
        return ""
    if not _HEIC.isdisjoint(_brands(data)):
        kind = "HEIC"
    elif data.startswith((b"II*\0", b"MM\0*")):
        kind = "TIFF"
    elif data.startswith(b"BM"):
        kind = "BMP"
    else:
        return ""
    return f"; this is {kind}: save it as JPEG"


def _value(name: str, texts: list[str]) -> Any:
    kinds = _kinds()["from_" if name == "from" else name]
    if "array" in kinds:
        return _list(name, texts, kinds)
    if len(texts) > 1:
        raise QueryError(f"{name} is given {len(texts)} times", argument=name)
    if kinds <= {"string"}:
        return texts[0]
    return _parsed(texts[0])


def _list(name: str, texts: list[str], kinds: frozenset[str]) -> Any:
    values: list[Any] = []
    for text in texts:
        value = _parsed(text)
        if isinstance(value, str):
            if "object" in kinds:
                raise QueryError(
                    f'{name} must be JSON, such as {{"tags": "sport"}}, not {quoted(text)}',
                    argument=name,
                )
            value = [part.strip() for part in text.split(",") if part.strip()]
        if "boolean" in kinds and isinstance(value, bool) and len(texts) == 1:
            return value
        values += value if isinstance(value, list) else [value]
    return values


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


@functools.cache
def _kinds() -> dict[str, frozenset[str]]:
    """The JSON types that each argument takes, but for null."""
    found = {}
    for name, schema in SearchRequest.model_json_schema(by_alias=False)["properties"].items():
        kinds: set[str] = set()
        for each in schema.get("anyOf", [schema]):
            kind = each.get("type", "string" if "enum" in each or "const" in each else None)
            kinds |= set(kind) if isinstance(kind, list) else {kind or "null"}
        found[name] = frozenset(kinds - {"null"})
    return found
