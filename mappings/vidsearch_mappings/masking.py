"""Texts without the secrets in them: messages of other libraries may show what ours never do.

The time that it takes grows with the length of a text and no faster, as others may write it: no
pattern looks through the same run of characters from each of its places.
"""

from __future__ import annotations

import re

__all__ = ["masked", "masked_values", "names_secret"]

_NAMES = (
    r"password|passwd|secret|token(?!s|iz)|credential|signature|authorization"
    r"|(?:api|account|access|private)[_-]?key"
    r"|(?<![A-Za-z0-9])(?:pass|pwd|sig)(?![A-Za-z0-9])|(?<=[?&])key(?==)"
)
_NAME = re.compile(_NAMES, re.IGNORECASE)
# Looked for at the begin of a word alone: each place in it would take the square of its length.
_NAMED = rf"(?<![\w-])(?=[\w-]*?(?:{_NAMES}))[\w-]+\\?['\"]?[ \t]*"
_QUOTED = r"[bfru]{0,2}\\?(?:'[^'\n]*'|\"[^\"\n]*\"|['\"][^\s'\",;&]+)"
_PLAIN = r"[^\s'\",;&]"
# After a colon and a blank comes more often a sentence than a secret: no word, and no URL, whose
# own secrets are masked already.
_NO_WORD = rf"(?!\w+://)(?={_PLAIN}{{6}})(?={_PLAIN}*?(?:\d|[^\w\s'\",;&(\[{{<](?={_PLAIN})))"
_IS = r"={1,3}>?[ \t]*"
_LITERAL = re.compile(rf"({_NAMED}(?:{_IS}|:[ \t]*)){_QUOTED}", re.IGNORECASE)
_VALUE = re.compile(
    rf"({_NAMED}(?:(?:{_IS}|:[ \t]*)(?={_QUOTED})|{_IS}|:(?![:\s])|:[ \t]+{_NO_WORD}))"
    rf"(?:{_QUOTED}|{_PLAIN}+)",
    re.IGNORECASE,
)
_HEADERS = (
    (re.compile(r"\b(Bearer|ApiKey)\s+[^\s'\"]+", re.IGNORECASE), r"\1 …"),
    (re.compile(r"\b([Bb]asic)\s+(?=[a-z]*[A-Z0-9+/=])[^\s'\"]+"), r"\1 …"),
    (
        re.compile(
            r"\b(Authorization['\"]?[ \t]*[:=][ \t]*['\"]?"
            r"(?:Token|Key|Api-Key|Basic|JWT|OAuth|Negotiate|NTLM|Splunk|SharedKey)[ \t]+)"
            r"[^\s'\"]+",
            re.IGNORECASE,
        ),
        r"\1…",
    ),
    (
        re.compile(
            r"\b(Cookie['\"]?[ \t]*[:=][ \t]*['\"]?)[^\s=;,'\"]{1,256}=[^\s;'\"]*"
            r"(?:;[ \t]*[^\s;'\"]+)*",
            re.IGNORECASE,
        ),
        r"\1…",
    ),
)
_RUN = re.compile(r"[^\s'\"]+")
_SCHEME = re.compile(r"([,;|]?(?:[A-Za-z][\w+.-]{0,30})?://)")
_AUTHORITY = re.compile(r"[^/?#]*")
_HOST = re.compile(r"(?:[\w.-]+|\[[^\]]*\])(?::\d*)?")
_SURE_HOST = re.compile(r"[\w-]*\.[\w.-]*(?::\d*)?|[\w.-]+:\d*|\[[^\]]*\](?::\d*)?")
_SOURCE_LINES = re.compile(r"^([ |]*)File \"[^\"\n]*\", line \d+.*\n((?:\1  .*\n?)*)", re.MULTILINE)


def masked(text: str) -> str:
    """The text without users and queries of URLs, tokens of headers, and values of what has the
    name of a secret. Hosts and paths stay."""
    if "://" in text or "?" in text:
        text = _RUN.sub(_masked_run, text)
    for secret, shown in _HEADERS:
        text = secret.sub(shown, text)
    return masked_values(text)


def masked_values(text: str) -> str:
    """The text without the values that follow the name of a secret, as in ``password=…``. Of the
    lines of source in a traceback only what is quoted there is a value."""
    shown, end = [], 0
    for frame in _SOURCE_LINES.finditer(text):
        shown.append(_VALUE.sub(r"\1…", text[end : frame.start(2)]))
        shown.append(_LITERAL.sub(r"\1…", frame[2]))
        end = frame.end()
    return "".join([*shown, _VALUE.sub(r"\1…", text[end:])])


def names_secret(name: str) -> bool:
    """Whether a key, such as ``sentinel_password``, names a secret."""
    return name.lower() == "key" or _NAME.search(name) is not None


def _masked_run(found: re.Match[str]) -> str:
    """Of characters without a blank or a quote: URLs, or a path with a query."""
    run = found[0]
    if "://" not in run:
        path, _, rest = run.partition("?")
        return f"{path}?…" if "/" in path and "=" in rest else run
    first, *others = _SCHEME.split(run)
    shown, in_query = [first], False
    for scheme, rest in zip(others[::2], others[1::2], strict=True):
        if in_query and scheme[0] not in ",;|":
            continue  # a URL in the query of another
        place = _without_user(rest)
        # After a query, what follows a separator may be a part of it.
        if query := re.search(r"[?&]." if in_query else r"\?.", place):
            in_query, place = True, f"{place[: query.start() + 1]}…"
        shown += scheme, place
    return "".join(shown)


def _without_user(rest: str) -> str:
    """What follows ``://``, with ``…`` in place of the user and the password."""
    if "@" not in rest:
        return rest
    found = _AUTHORITY.match(rest)
    authority = found[0] if found else ""
    last = authority.rpartition("@")[2]
    # A slash that is not encoded may be part of a password where no host is sure to be before it.
    if ":" in authority and not any(map(_SURE_HOST.fullmatch, last.split(","))):
        # Of the query nothing is shown: an @ in it hides no password.
        before, mark, query = rest.partition("?") if "@" in authority else (rest, "", "")
        return f"…@{before.rpartition('@')[2]}{mark}{query}"
    shown: list[str] = []
    maybe_user: list[str] = []
    for part in authority.split(","):  # hosts, or a password with a comma
        if "@" in part:
            shown.append(f"…@{part.rpartition('@')[2]}")
            maybe_user = []
        elif maybe_user or not _HOST.fullmatch(part):
            maybe_user.append(part)
        else:
            shown.append(part)
    return ",".join([*shown, *maybe_user]) + rest[len(authority) :]
