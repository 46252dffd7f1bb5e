"""What is to differ in the target index, and where its documents come from then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from pydantic import ValidationError

from vidsearch.config import IndexSettings
from vidsearch.encoders.identity import ModelIdentity
from vidsearch.engines import Json
from vidsearch.errors import MappingConflictError, ReindexError
from vidsearch.index.attachable import refuse_blocks, refuse_lossy_source, refuse_moving_index
from vidsearch.index.health import blocks_among
from vidsearch.index.kept import Kept, kept_of, kept_settings
from vidsearch.index.manage import videos_index_body
from vidsearch.index.videos_index import VideosIndex
from vidsearch.reindex.in_place import InPlace, change_in_place
from vidsearch.reindex.run import Way
from vidsearch_mappings.attached import attached_mapping, attached_settings
from vidsearch_mappings.diff import diff_index, flattened
from vidsearch_mappings.types import Quantization
from vidsearch_mappings.vectors import vector_settings

__all__ = ["Changes", "Target"]

_GRAPH = ("m", "ef_construction")
_REPLICAS_ALONE = (
    "replicas need no new index: set index.replicas, then run `vidsearch index diff --apply`"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is to differ; ``None`` stays as it is in the source. Names as in the settings."""

    quantization: Quantization | None = None
    segment_seconds: float | None = None
    """Length of a segment; documents are made anew from kept vectors of frames."""
    shards: int | None = None
    replicas: int | None = None
    m: int | None = None
    ef_construction: int | None = None
    model: str | None = None
    """A hub id, a folder or ``demo``, as the setting ``model.name``; videos are embedded again."""
    mapping: bool = False
    """Whether to map the application's own fields anew, as the setting ``index.mapping`` says."""

    def given(self) -> dict[str, Any]:
        """Those that are to differ, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: value
            for name, value in values.items()
            if value is not None and value is not False
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The index that is to be made."""

    way: Way
    body: Json
    """For ``PUT /<index>``; without what marks it as the target of a run."""
    in_place: InPlace | None = None
    """How an attached index gets the same without another index."""
    is_same: bool = False
    """Whether it would not differ from the source, which has all that already."""
    kept: Kept | None = None
    """What the target has of an attached index."""

    @classmethod
    def of(
        cls,
        source: VideosIndex,
        changes: Changes,
        *,
        settings: IndexSettings,
        identity_of: Callable[[str], ModelIdentity],
    ) -> Target:
        """The target that the changes make of the source.

        All else is taken over from the source, as it is live: mappings and settings of the user
        too.

        Args:
            source: the index that the alias stands for.
            changes: what is to differ.
            settings: name, own mapping and so on.
            identity_of: the identity of a model, by its name.

        Raises:
            ReindexError: no change is named, or a value cannot be.
            MappingConflictError: the source is closed, or has a block that a reindex cannot do
                with.
            ConfigError: the engine lacks the quantization, or does not take it for the model.
            ModelUnavailableError: the model cannot be loaded.
        """
        given = changes.given()
        if not given:
            raise ReindexError(
                "nothing is to differ: say at least one of --quantization, --segment-seconds, "
                "--shards, --replicas, --m, --ef-construction, --model and --mapping"
            )
        if given.keys() == {"replicas"} and not source.attached:
            raise ReindexError(_REPLICAS_ALONE)
        if source.attached:
            return cls._of_attached(source, changes, settings=settings)
        identity = source.identity
        if changes.model is not None:
            identity = identity_of(changes.model)
            if identity.compared() == source.identity.compared():
                raise ReindexError(
                    f"index {source.name!r} holds vectors of {identity} already: to embed its "
                    "videos again, `vidsearch reindex --all`"
                )
        live = source.engine.settings(source.name)
        _refuse_unusable(source, live)
        wanted = _settings(source, given, settings=settings, live=live)
        body = videos_index_body(source.engine, wanted, identity)
        way: Way = "copy"
        if changes.model is not None:
            way = "embed"
        elif wanted.segment_seconds != source.segment_seconds:
            way = "assemble"
        mapping = _mapping(source, body["mappings"], anew=changes.mapping)
        kept = _kept(source, live)
        target = {
            "settings": {"index": {**kept, **flattened(body["settings"]["index"])}},
            "mappings": mapping,
        }
        differ = _differing(source, body, live=live, anew=changes.mapping)
        if differ == {"settings.index.number_of_replicas"}:
            raise ReindexError(f"all else is so already, and {_REPLICAS_ALONE}")
        return cls(way=way, body=target, is_same=not differ)

    @classmethod
    def _of_attached(
        cls, source: VideosIndex, changes: Changes, *, settings: IndexSettings
    ) -> Target:
        if changes.mapping:
            raise ReindexError(
                f"--mapping: index {source.name!r} is your own, and its fields are mapped by you"
            )
        if changes.model is not None:
            raise ReindexError(
                f"--model: index {source.name!r} is your own, and a vector of another model needs "
                "another mapping of it: `vidsearch index detach`, set model.name (and, where its "
                f"vectors have other dims, index.field to another name, such as {source.field}2), "
                "then `vidsearch index attach` and `vidsearch scan`. Searches find nothing by "
                "vectors meanwhile"
            )
        engine, given = source.engine, changes.given()
        live = engine.settings(source.name)
        wanted = _settings(source, given, settings=settings, live=live)
        body = videos_index_body(engine, wanted, source.identity, uri_field=source.uri_field)
        _refuse_unusable(source, live)
        _refuse_unfit(source, live)
        kept = kept_of(engine, source.name)
        new = {**kept.at_creation(), **attached_settings(body)}
        new |= {"number_of_shards": wanted.shards, "number_of_replicas": wanted.replicas}
        if int(new.get("number_of_routing_shards", wanted.shards)) % wanted.shards:
            del new["number_of_routing_shards"]  # the engine chooses one that fits
        target = {
            "settings": {"index": new},
            "mappings": _mapping(source, body["mappings"], anew=False),
        }
        in_place = change_in_place(source, body, given=given, live=live)
        if in_place is None and wanted.segment_seconds != source.segment_seconds:
            raise ReindexError(
                "--segment-seconds: needs no other index where it is your own, and the rest does: "
                "change it by itself, before or after"
            )
        is_same = in_place is not None and not in_place.changes
        return cls(way="copy", body=target, in_place=in_place, is_same=is_same, kept=kept)


def _refuse_unusable(source: VideosIndex, live: Json) -> None:
    """Refuse an index that cannot be read or get another alias. One that takes no documents can be
    copied, and the new index takes them."""
    settings, then = flattened(live), "reindex again"
    if blocks := blocks_among(("read",), settings):
        raise MappingConflictError(
            f"index {source.name!r} cannot be read ({blocks[0]}): set that to null, then {then}"
        )
    settings.pop("blocks.write", None)
    refuse_blocks(settings, index=source.name, then=then)


def _refuse_unfit(source: VideosIndex, live: Json) -> None:
    """Refuse an index of the user that a copy could not take the place of."""
    mapping, then = source.engine.mapping(source.name), "reindex again"
    refuse_lossy_source(mapping, index=source.name)
    refuse_blocks(flattened(live), index=source.name, then=then)
    refuse_moving_index(
        source.engine,
        source.name,
        alias=source.alias,
        mapping=mapping,
        settings=flattened(live),
        then=then,
    )


def _settings(
    source: VideosIndex, given: Mapping[str, Any], *, settings: IndexSettings, live: Json
) -> IndexSettings:
    """The settings that describe the target: those of the source, but for the changes."""
    graph = _graph(source)
    present = {
        "quantization": source.quantization,
        "segment_seconds": source.segment_seconds,
        "shards": int(live["number_of_shards"]),
        "replicas": int(live["number_of_replicas"]),
        **{name: graph[name] for name in _GRAPH if name in graph},
    }
    changed = {name: value for name, value in given.items() if name not in {"model", "mapping"}}
    values = {**settings.model_dump(), "segment_overlap": 0.0, **present, **changed}
    try:
        made = IndexSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise ReindexError(
            f"--{name.replace('_', '-')} {values.get(name)!r}: {first['msg']}"
        ) from error
    if settings.segment_overlap >= made.segment_seconds:
        raise ReindexError(
            f"--segment-seconds {made.segment_seconds:g}: must be above the setting "
            f"index.segment_overlap, which is {settings.segment_overlap:g}"
        )
    return made


def _graph(source: VideosIndex) -> Mapping[str, Any]:
    """``m`` and ``ef_construction`` of the vectors as they are; empty where there is no graph."""
    vector = source.properties.get(source.field, {}).get("properties", {}).get("vector", {})
    options: Mapping[str, Any] = vector.get("index_options") or {}
    return options or (vector.get("method") or {}).get("parameters") or {}


def _mapping(source: VideosIndex, wanted: Json, *, anew: bool) -> Json:
    live = source.engine.mapping(source.name)
    properties = {**live["properties"], source.field: wanted["properties"][source.field]}
    whole = {**live, "_meta": {**live["_meta"], **wanted["_meta"]}, "properties": properties}
    if anew:
        whole |= {name: value for name, value in wanted.items() if name != "_meta"}
        whole["properties"] = {**live["properties"], **wanted["properties"]}
    return whole


def _differing(source: VideosIndex, wanted: Json, *, live: Json, anew: bool) -> set[str]:
    """Paths of what a managed index has not as the body of another one wants it. Its own fields
    are compared where they are to be mapped anew; what they have beyond that differs as well."""
    mapping = source.engine.mapping(source.name)
    now = {"settings": {"index": live}, "mappings": mapping}
    ours = {**wanted, "mappings": attached_mapping(wanted, {}, field=source.field)}
    found = diff_index(now, wanted if anew else ours)
    if anew:
        own = wanted["mappings"]["properties"].keys() & mapping["properties"].keys()
        fields = {name: mapping["properties"][name] for name in own - {source.field}}
        had = {"settings": {"index": {}}, "mappings": {"properties": fields}}
        found += diff_index(wanted, had)
    return {change.path for change in found}


def _kept(source: VideosIndex, live: Json) -> Json:
    """Settings of the user, dotted, that the target has as well."""
    # Those that the former preset brought along are not the user's.
    engine = source.engine
    preset: Any = source.quantization
    former = flattened(vector_settings(engine.kind, preset, engine.info().version))
    return {name: value for name, value in kept_settings(live).items() if name not in former}
