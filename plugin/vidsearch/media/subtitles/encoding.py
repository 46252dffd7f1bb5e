"""The text of a subtitle file of unknown encoding."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

from vidsearch.errors import MissingExtraError

__all__ = ["decoded"]

# Those that subtitles are written in. Of all that are known a short text would often fit a rare
# one better.
_ENCODINGS = (
    *("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"),
    *("cp932", "shift_jis", "euc-jp", "iso-2022-jp", "gb18030", "big5", "cp949", "euc-kr"),
    *("cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258"),
    *("koi8-r", "koi8-u", "cp855", "cp866", "cp874", "iso-8859-2", "iso-8859-5", "iso-8859-7"),
)
_LATIN = (
    *("cp437", "cp775", "cp850", "cp852", "cp857", "cp860", "cp863", "cp865"),
    *("mac-roman", "mac-latin2", "mac-turkish"),
)
"""Of DOS and of the Mac, for where none of the others gives a text."""
_WIDE: dict[tuple[bool, ...], str] = {
    (False, True, False, True): "utf-16-le",
    (True, False, True, False): "utf-16-be",
    (False, True, True, True): "utf-32-le",
    (True, True, True, False): "utf-32-be",
}
"""By the zeros among the first four bytes, without a mark: a subtitle file begins in ASCII."""
_WESTERN = "cp1252"
_WITH_EURO, _OTHER_CURRENCY = "iso-8859-15", b"\xa4"
"""Its sign of the euro is one of an unknown currency in cp1252, which hardly anybody writes."""
_CYRILLIC, _YA = "cp1251", b"\xff"
_OF_MAC = re.compile(rb"[\xb4\xbb\xe0-\xfe]\xdf")
"""The Mac has the small letter ya, after another small one, where cp1251 has the capital. Their
other small letters are the same."""
_NOT_IN_ISO = re.compile(rb"[\x80-\x9f]")
"""Quotation marks and dashes of cp1252."""
_NEARLY = 0.9
_WORD = re.compile(r"[^\W\d_]+")
_LETTER = "[A-Za-zÀ-ÖØ-öø-ɏͰ-ϿЀ-ӿ]"
_BROKEN_WORD = re.compile(
    rf"{_LETTER}[^\w\s\x00-\x7f\u0300-\u036f’‘´ʼ—–…·\xad‐‑]{_LETTER}"
    r"|[a-zß-ÿ][†‡‰ˆ„‚‹¡¿\u2500-\u259f]"
    r"|[A-Za-z][\u1100-\u11ff\u2e80-\uffdc]{1,2}[a-z]"
)
"""A sign between two letters that is neither an apostrophe nor a dash, one that follows no letter,
a line of a box behind a letter, or a letter of Asia between two of the Latin alphabet."""
_SCRIPTS = frozenset({"LATIN", "CYRILLIC", "GREEK", "HEBREW", "ARABIC", "THAI"})
_PREFIXES = "hnt"
"""Before a capital in Irish."""
_MOST_MIXED = 0.2
"""Share of the words with letters beyond ASCII."""
_MOST_BROKEN = 0.2
"""Share of what stands between spaces and holds anything beyond ASCII. People forget a space now
and then; in a wrong encoding about every second one is broken."""
_SAMPLE = 1 << 16
"""Bytes that are searched for such words."""
_BROKEN = "\ufffd"
_FEW = 0.01
"""Share of the characters that may be wrong in a text that is otherwise right."""


def decoded(data: bytes) -> str | None:
    """The text; ``None`` where the bytes are none, or their encoding cannot be told.

    Raises:
        MissingExtraError: chardet is not installed, and the text is not UTF-8.
    """
    text = data.decode("utf-8-sig", errors="replace")
    # A damaged file is UTF-8 still. NUL and ESC are of UTF-16 and of ISO 2022.
    beyond_ascii = sum(not character.isascii() for character in text)
    if text.count(_BROKEN) <= _FEW * beyond_ascii and "\0" not in text and "\x1b" not in text:
        return text
    encoding = _WIDE.get(tuple(byte == 0 for byte in data[:4])) or _likeliest(data)
    text = data.decode(encoding, errors="replace") if encoding else ""
    return text if text and _is_text(text) else None


def _likeliest(data: bytes) -> str | None:
    likely = _fitting(data, _ENCODINGS)
    if not likely:
        return next(iter(_fitting(data, _LATIN)), None)
    best, confidence = next(iter(likely.items()))
    if best == _CYRILLIC and _OF_MAC.search(data) and _YA not in data:
        return "mac-cyrillic"
    # A few letters beyond ASCII fit many encodings about as well.
    if likely.get(_WESTERN, 0) < _NEARLY * confidence:
        return best
    has_euro = _OTHER_CURRENCY in data and not _NOT_IN_ISO.search(data)
    return _WITH_EURO if has_euro else _WESTERN


def _fitting(data: bytes, encodings: Sequence[str]) -> dict[str, float]:
    """Those that give a text, with chardet's confidence in them, the likeliest first."""
    try:
        import chardet
    except ImportError as error:
        raise MissingExtraError.of("worker", needed_for="subtitles that are not UTF-8") from error
    found = chardet.detect_all(
        data, max_bytes=len(data), include_encodings=encodings, compat_names=False
    )
    likely = {one["encoding"]: one["confidence"] for one in found if one["encoding"]}
    order = sorted(likely, key=likely.__getitem__, reverse=True)
    sample = data[:_SAMPLE]
    fitting: dict[str, float] = {}
    for each in order:
        if fitting and each != _WESTERN:
            continue  # of the others, only the likeliest is asked for
        text = sample.decode(each, "replace")
        if _is_text(text) and not _is_odd(text):
            fitting[each] = likely[each]
    return fitting


def _is_text(text: str) -> bool:
    return sum(map(_is_strange, text)) <= _FEW * len(text)


def _is_odd(text: str) -> bool:
    """Whether there are words as no language has them: with letters of several alphabets, with
    other signs within, or with a capital after a small letter.
    """
    words = [word for word in _WORD.findall(text) if not word.isascii()]
    mixed = sum(len({*map(_script, word)} - {""}) > 1 for word in words)
    pieces = [piece for piece in text.split() if not piece.isascii()]
    broken = sum(map(_is_broken, pieces))
    return mixed > _MOST_MIXED * len(words) or broken > max(_MOST_BROKEN * len(pieces), 1)


def _is_broken(piece: str) -> bool:
    return bool(_BROKEN_WORD.search(piece)) or any(map(_has_capital_inside, _WORD.findall(piece)))


def _has_capital_inside(word: str) -> bool:
    rest = word[1:] if word[0] in _PREFIXES else word
    return any(
        one.islower() and other.isupper() and not other.isascii() for one, other in pairwise(rest)
    )


@cache
def _script(letter: str) -> str:
    if letter in "iI":  # people write it for its double in Ukrainian and Belarusian, too
        return ""
    name = unicodedata.name(letter, "").split(" ")[0]
    return name if name in _SCRIPTS else ""


def _is_strange(character: str) -> bool:
    return character == _BROKEN or (
        unicodedata.category(character) in {"Cc", "Cn", "Co"} and character not in "\t\n\v\f\r"
    )
