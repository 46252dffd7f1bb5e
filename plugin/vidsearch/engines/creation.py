"""An index created as asked, whatever the index templates of the cluster add.

A template whose pattern matches the name of a new index adds its aliases, mapping and settings to
those of the request, and no request can refuse them. So a new index is read back. One that got more
than was asked for is deleted again, before anything is written to it.

No template of our own with a higher priority is put against it: that takes a right on the whole
cluster, fails where another template has the same priority, and leaves something behind there. A
name that no pattern matches needs no rights.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from vidsearch.engines.base import Engine
from vidsearch.engines.calls import Calls
from vidsearch.engines.steps import Request, Steps
from vidsearch.engines.types import Json
from vidsearch.errors import BackendAccessDeniedError, BackendError, MappingConflictError
from vidsearch_mappings.diff import flattened

__all__ = ["concrete_name", "create_index_as_asked", "create_side_index", "ensure_side_index"]

_log = logging.getLogger(__name__)
_PRIVATE = re.compile(r"private index setting \[index\.([^]]+)\] can not be set")
"""What both engines say of a setting that they alone give to an index."""
_HARMFUL = ("blocks.", "mapping.source.", "mode", "routing_partition_size", "routing_path")
"""Settings with which an index does not work, or does not give back what was written."""
_HARMFUL_TO_ALL = (
    *_HARMFUL,
    "analysis.",
    "default_pipeline",
    "final_pipeline",
    "lifecycle.",
    "opendistro.index_state_management.",
    "plugins.index_state_management.",
    "refresh_interval",
    "sort.",
)
"""Those as well that a user may want for an index of videos, but nobody for a side index."""
_VECTORS = {"dense_vector", "knn_vector"}
"""Types of fields to which the engines add parameters by themselves."""
_LOOKS, _LOOK_SECONDS = 50, 0.1
"""For which another process gets to finish what it has begun to create."""


def create_index_as_asked(
    engine: Engine, name: str, body: Mapping[str, Any], *, advice: str, user_fields: bool
) -> None:
    """Create an index with exactly the aliases, and no other mapping or settings than in ``body``.

    Args:
        engine: the cluster.
        name: of the index.
        body: of the request; its objects are read back as well.
        advice: what to do where a template applies to the name; ends the message.
        user_fields: whether templates may add fields and settings of the user. They may never add
            aliases, routing, or fields of a strict object.

    Raises:
        MappingConflictError: a template added something, which the message names, or did not let
            the index be created. There is no such index then. Or it exists already.
    """
    try:
        body = _create(engine, name, body)
    except MappingConflictError as error:
        templates = _templates(engine, name, hidden=_is_hidden(body))
        if not templates or engine.indices_of(name):
            raise
        raise MappingConflictError(
            f"index {name!r} cannot be created, as {_named(templates)} applies to its name: "
            f"{error}. {advice}"
        ) from error
    intact = False
    try:
        added = [
            *(f"the alias {alias!r}" for alias in _extra(engine.aliases(name), _aliases(body))),
            *(f"the setting {key}" for key in _settings(engine.settings(name), body, user_fields)),
            *(f"{path} of the mapping" for path in _mapping(engine, name, body, user_fields)),
        ]
        intact = not added
    finally:
        if not intact:
            engine.delete_index(name)
    if added:
        templates = _templates(engine, name, hidden=_is_hidden(body))
        raise MappingConflictError(
            f"index {name!r} was not created as asked, and was deleted again: "
            f"{_named(templates)} added {', '.join(added)}. {advice}"
        )


def _create(engine: Engine, name: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Create an index; settings that the engine lets nobody give are left out. Returns the body."""
    while True:
        try:
            engine.create_index(name, body)
            return body
        except MappingConflictError as error:
            wanted = flattened(body.get("settings", {}).get("index", {}))
            private = wanted.keys() & set(_PRIVATE.findall(str(error)))
            if not private:
                raise
        # Newer engines may have some that are not known here, and a copy cannot have them.
        _log.warning("index %r does not get %s: only the engine sets that", name, sorted(private))
        settings = {key: value for key, value in wanted.items() if key not in private}
        body = {**body, "settings": {"index": settings}}


def concrete_name(alias: str) -> str:
    """Name of the index that is made behind the alias of a side index."""
    return f"{alias}-000001"


def create_side_index(engine: Engine, alias: str, body: Mapping[str, Any], *, advice: str) -> None:
    """Create an index that vidsearch keeps beside the videos, with its alias, in one request.

    Raises:
        MappingConflictError: see :func:`create_index_as_asked`.
    """
    create_index_as_asked(
        engine,
        concrete_name(alias),
        {**body, "aliases": {alias: {"is_hidden": True}}},
        advice=advice,
        user_fields=False,
    )


def ensure_side_index(
    engine: Engine,
    alias: str,
    body: Mapping[str, Any],
    *,
    advice: str,
    pause: Callable[[float], object] = time.sleep,
) -> None:
    """Create such an index while others read by its alias, or make the same one at this moment.

    The engines show an index before its shards answer, and a read in between fails (503) as in an
    outage. So the alias comes last: until then there is no index for those who read. Where the one
    who was faster ends before that, the alias is added here.

    Raises:
        MappingConflictError: see :func:`create_index_as_asked`.
        BackendAccessDeniedError: no right to make it, or to give it an alias.
    """
    if engine.indices_of(alias):
        return
    name, made = concrete_name(alias), False
    try:
        create_index_as_asked(engine, name, body, advice=advice, user_fields=False)
        made = True
    except MappingConflictError:
        for _ in range(_LOOKS):
            if engine.indices_of(alias):
                return
            if not engine.indices_of(name):  # a template did not let it be created
                raise
            pause(_LOOK_SECONDS)
    try:
        engine.update_aliases([{"add": {"index": name, "alias": alias, "is_hidden": True}}])
    except BackendAccessDeniedError:
        if made and not engine.indices_of(alias):
            with suppress(BackendError):  # the missing right is the error to tell
                engine.delete_index(name)  # else the next one waits for an alias that never comes
        raise


def _templates(engine: Engine, name: str, *, hidden: bool) -> tuple[str, ...]:
    """Those that apply to a new index of that name, empty where they may not be listed.

    The composable one of the highest priority, else all legacy ones.
    """
    listed = engine.run(_listed(engine.calls, "/_index_template")).get("index_templates", ())
    composable = {one["name"]: one["index_template"] for one in listed}
    if matching := _matching(composable, name, hidden=hidden):
        return (max(matching, key=lambda one: composable[one].get("priority") or 0),)
    return _matching(engine.run(_listed(engine.calls, "/_template")), name, hidden=hidden)


def _listed(calls: Calls, path: str) -> Steps[Json]:
    answer = yield from calls.dialect.send(Request("GET", path))
    return answer.body if answer.status == 200 else {}


def _matching(templates: Mapping[str, Json], name: str, *, hidden: bool) -> tuple[str, ...]:
    """Names of the templates with a pattern for that index; `*` is for none that is hidden."""
    return tuple(
        template
        for template, body in sorted(templates.items())
        if not (hidden and "*" in body["index_patterns"])
        and any(_matches(pattern, name) for pattern in body["index_patterns"])
    )


def _matches(pattern: str, name: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None


def _named(templates: Iterable[str]) -> str:
    names = ", ".join(map(repr, templates))
    if not names:
        return "an index template of the cluster (which these credentials may not list)"
    return f"the index template {names}"


def _is_hidden(body: Mapping[str, Any]) -> bool:
    return bool(body.get("settings", {}).get("index", {}).get("hidden"))


def _aliases(body: Mapping[str, Any]) -> Mapping[str, Any]:
    aliases: Mapping[str, Any] = body.get("aliases", {})
    return aliases


def _extra(live: Iterable[str], wanted: Iterable[str]) -> list[str]:
    return sorted(set(live) - set(wanted))


def _settings(live: Json, body: Mapping[str, Any], user_fields: bool) -> Iterator[str]:
    wanted = flattened(body.get("settings", {}).get("index", {}))
    harmful = _HARMFUL if user_fields else _HARMFUL_TO_ALL
    for key, value in sorted(flattened(live).items()):
        usual = key not in wanted and (key, value) == ("mode", "standard")
        if key.startswith(harmful) and _text(wanted.get(key)) != _text(value) and not usual:
            yield f"index.{key}"


def _mapping(
    engine: Engine, name: str, body: Mapping[str, Any], user_fields: bool
) -> Iterator[str]:
    live, wanted = engine.mapping(name), body.get("mappings", {})
    asked = wanted.get("properties", {})
    ours, meta = wanted.get("_meta", {}).get("vidsearch", {}), live.get("_meta", {})
    yield from _more(meta.get("vidsearch", {}), ours, at="_meta.vidsearch")
    checked = set(live) - {"_meta", "properties"}
    if user_fields:
        checked -= {"dynamic_templates", "runtime"}
    for key in sorted(checked):
        yield from _more({key: live[key]}, {key: wanted[key]} if key in wanted else {})
    fields = live.get("properties", {})
    if user_fields:
        strict = {name for name, field in asked.items() if field.get("dynamic") == "strict"}
        fields = {name: field for name, field in fields.items() if name in strict}
    yield from _more(fields, asked)


def _more(live: Mapping[str, Any], wanted: Mapping[str, Any], at: str = "") -> Iterator[str]:
    """Paths of what is there and was not asked for, or is there with another value."""
    for key, value in sorted(live.items()):
        path = ".".join(part for part in (at, key) if part and part != "properties")
        asked = wanted.get(key)
        if isinstance(value, Mapping) and isinstance(asked, Mapping):
            if str(asked.get("type")) not in _VECTORS:  # a field can be called `type`, too
                yield from _more(value, asked, path)
        elif (key, value) != ("type", "object") and _text(value) != _text(asked):
            yield path


def _text(value: Any) -> str:
    """``False`` as the engines give it back: ``"false"``."""
    return str(value).lower()
