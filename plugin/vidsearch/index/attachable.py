"""What an index of the user must be like so that vidsearch can be attached to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from vidsearch.engines import Engine, Json
from vidsearch.engines.calls import Calls
from vidsearch.engines.steps import Steps
from vidsearch.errors import BackendAccessDeniedError, MappingConflictError
from vidsearch.index.health import blocks_among
from vidsearch_mappings import IndexMeta
from vidsearch_mappings.attached import attached_settings
from vidsearch_mappings.diff import diff_index, flattened
from vidsearch_mappings.types import Quantization
from vidsearch_mappings.vectors import vector_settings
from vidsearch_mappings.videos import video_fields

__all__ = [
    "lacking_settings",
    "refuse_blocks",
    "refuse_filtered_alias",
    "refuse_lossy_source",
    "refuse_moving_index",
    "refuse_other_vectors",
    "refuse_taken_field",
    "refuse_unfit",
]

_BLOCKS = ("read_only", "read_only_allow_delete", "write", "metadata")
_ROLLOVER = (
    "lifecycle.rollover_alias",
    "plugins.index_state_management.rollover_alias",
    "opendistro.index_state_management.rollover_alias",
)


def refuse_blocks(settings: Mapping[str, Any], *, index: str, then: str = "attach again") -> None:
    """Refuse an index that is closed or takes no writes: workers could put no vector into it.

    Args:
        settings: of the index, as dotted names below ``index``.
        index: its name.
        then: what to do when that is mended.
    """
    if str(settings.get("verified_before_close")).lower() == "true":
        raise MappingConflictError(
            f"index {index!r} is closed, so no vector could be written to it: open it, then {then}"
        )
    if blocks := blocks_among(_BLOCKS, settings):
        raise MappingConflictError(
            f"index {index!r} takes no writes ({', '.join(blocks)}), so no vector could be written "
            f"to it: set {' and '.join(blocks)} to null, then {then}"
        )


def refuse_moving_index(
    engine: Engine,
    name: str,
    *,
    alias: str,
    mapping: Json,
    settings: Mapping[str, Any],
    then: str = "attach again",
) -> None:
    """Refuse a part of a data stream, and an alias that a rollover moves to other indices.

    The index that comes next would have no vidsearch object, and its documents no vectors.
    ``settings`` are those of the index, as dotted names below ``index``.
    """
    if "_data_stream_timestamp" in mapping:
        raise MappingConflictError(
            f"index {name!r} belongs to a data stream, which takes new documents only and moves on "
            "to other indices: attach to an index that is none"
        )
    why = next((f"index.{key}" for key in _ROLLOVER if settings.get(key)), None)
    if alias != name and engine.aliases(name).get(alias, {}).get("is_write_index") is True:
        why = f"`is_write_index` of alias {alias!r}"
    if why is not None:
        raise MappingConflictError(
            f"index {name!r} is written to until a rollover ({why}): the next index would have no "
            f"vectors. Use an index that is not rolled over, or take the rollover off, then {then}"
        )


def refuse_filtered_alias(engine: Engine, name: str, *, alias: str) -> None:
    """Refuse an alias that shows a part of the index: scans, workers and a detach see all of it."""
    if alias != name and engine.aliases(name).get(alias, {}).get("filter"):
        raise MappingConflictError(
            f"alias {alias!r} has a filter, but vidsearch embeds the videos of all documents of "
            f"index {name!r}: attach to {name!r}, or to an alias of it without a filter. Searches "
            f"may go through {alias!r} all the same (setting index.name)"
        )


def refuse_lossy_source(mapping: Mapping[str, Any], *, index: str) -> None:
    source = mapping.get("_source") or {}
    if source.get("enabled", True) in {False, "false"}:
        raise MappingConflictError(
            f"index {index!r} keeps no _source, and without it a document cannot be updated in "
            "part: attach to an index with _source"
        )
    cut = [*source.get("includes", ()), *source.get("excludes", ())]
    if cut:
        raise MappingConflictError(
            f"index {index!r} keeps parts of documents out of _source ({', '.join(cut)}); a "
            "partial update would lose them. Index into one without `_source` includes and excludes"
        )


def refuse_taken_field(mapping: Mapping[str, Any], *, field: str, index: str) -> None:
    """Refuse a field of that name, but for what an earlier detach left in the mapping."""
    there = (mapping.get("properties") or {}).get(field)
    if there is None:
        return
    same_names = there.get("properties", {}).keys() == video_fields()
    if there.get("dynamic") != "strict" or not same_names:
        raise MappingConflictError(
            f"index {index!r} has a field {field!r} of its own; choose another name for the "
            "vidsearch object (setting index.field)"
        )


def refuse_other_vectors(
    mapping: Mapping[str, Any], added: Json, *, field: str, index: str
) -> None:
    """Refuse what an earlier detach left in the mapping, where the engine cannot change it into
    what is ``added``: vectors of another model as a rule have other dims."""
    left = {name: one for name, one in (mapping.get("properties") or {}).items() if name == field}
    nothing: Json = {"settings": {"index": {}}}
    changes = diff_index(
        {**nothing, "mappings": {"properties": left}},
        {**nothing, "mappings": {"properties": added["properties"]}},
    )
    if stuck := [change for change in changes if change.how != "in place"]:
        first = stuck[0]
        name = first.path.removeprefix("mappings.properties.").replace(".properties.", ".")
        raise MappingConflictError(
            f"the mapping of index {index!r} still has the object {field!r} of an earlier attach, "
            f"and an engine cannot change {name} from {first.live!r} to {first.wanted!r}: set "
            f"index.field to another name, such as '{field}2', for workers and searches as well, "
            "then attach again"
        )


def lacking_settings(body: Json, live: Mapping[str, Any]) -> Json:
    """What an index of these settings (dotted names below ``index``) lacks for the vectors."""
    return {
        key: value
        for key, value in attached_settings(body).items()
        if str(live.get(key)).lower() != str(value).lower()
    }


def refuse_unfit(
    calls: Calls, mapping: Mapping[str, Any], meta: IndexMeta, *, index: str, alias: str
) -> Steps[None]:
    """Refuse an index in the place of an attached one that cannot be attached as it is, though it
    has no field of the name of the vidsearch object.

    Without the right to read its settings, only its mapping is looked at.
    """
    refuse_lossy_source(mapping, index=index)
    try:
        live = flattened((yield from calls.settings(index)))
    except BackendAccessDeniedError:
        return
    refuse_blocks(live, index=index)
    if calls.kind == "opensearch":
        preset = cast(Quantization, meta.quantization)
        needed = {"settings": {"index": vector_settings(calls.kind, preset)}}
        if lacking := lacking_settings(needed, live):
            settings = ", ".join(
                f"index.{key}: {str(value).lower()}" for key, value in lacking.items()
            )
            raise MappingConflictError(
                f"index {index!r} was created without {settings}, which cannot be added later: "
                "create it with that, or have it copied by "
                f"`vidsearch index attach {alias} --uri-field {meta.uri_field}`"
            )
