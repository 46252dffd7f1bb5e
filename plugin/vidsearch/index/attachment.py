"""What attaching to an index of the user would do, decided before anything is changed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from vidsearch.config import IndexSettings
from vidsearch.encoders.identity import ModelIdentity
from vidsearch.engines import Engine, Json
from vidsearch.errors import MappingConflictError
from vidsearch.index.attachable import (
    lacking_settings,
    refuse_blocks,
    refuse_filtered_alias,
    refuse_lossy_source,
    refuse_moving_index,
    refuse_other_vectors,
    refuse_taken_field,
)
from vidsearch.index.copy import copy_name, why_not_copied
from vidsearch.index.copy_note import note_of, refuse_complete_copy
from vidsearch.index.cost import CopyCost, cost_of, lacking_shards, lacking_space
from vidsearch.index.description import concrete_index, description_of
from vidsearch.index.follow import Following, following_of
from vidsearch.index.kept import Kept, kept_of
from vidsearch.index.manage import videos_index_body
from vidsearch.index.uri_field import check_uri_field
from vidsearch_mappings.attached import attached_mapping
from vidsearch_mappings.diff import flattened

__all__ = ["AttachPlan", "Attachment", "attached_name", "plan_attachment", "wanted_attachment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """What an index gets."""

    added: Json
    """Body of ``PUT /<index>/_mapping``."""
    mapping: Json
    """The mapping with that."""
    lacking: Json
    """Settings that it lacks, and that can be said only when an index is created."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachPlan:
    """What ``index attach`` would do."""

    index: str
    """The concrete index."""
    way: Literal["in place", "copy"]
    """``in place``: the object `video` is added to its mapping, and nothing else is changed."""
    kept: Kept
    """What the copy would have of it; in place all of that stays as it is."""
    copy: str | None = None
    """Name of the copy."""
    lacking: Json = field(default_factory=dict)
    """Why it has to be copied: settings below ``index`` that it was created without."""
    cost: CopyCost | None = None
    following: Following | None = None
    """How it is found what the application writes meanwhile."""
    problems: tuple[str, ...] = ()
    """What speaks against it, or has to be done first."""

    @property
    def blocked_seconds(self) -> float:
        """For how long writes are refused, about."""
        return 0.0 if self.cost is None else self.cost.blocked_seconds


def attached_name(engine: Engine, settings: IndexSettings) -> str:
    """The concrete index to attach to.

    Raises:
        IndexNotFoundError: there is none.
        MappingConflictError: the alias stands for several.
    """
    advice = "name the index to attach to, or an alias of it (no data stream)"
    return engine.run(concrete_index(engine.calls, settings.name, advice=advice))


def wanted_attachment(
    engine: Engine,
    settings: IndexSettings,
    identity: ModelIdentity,
    *,
    name: str,
    uri_field: str,
) -> Attachment | None:
    """What the index ``name`` lacks; ``None`` where only its registry is missing.

    Raises:
        MappingConflictError: it cannot be attached, or is attached already.
        ConfigError: the engine lacks the setting ``index.quantization``.
    """
    refuse_filtered_alias(engine, name, alias=settings.name)
    mapping, live = engine.mapping(name), flattened(engine.settings(name))
    refuse_moving_index(engine, name, alias=settings.name, mapping=mapping, settings=live)
    if "vidsearch" in (mapping.get("_meta") or {}):
        _require_same(engine, settings, mapping, identity, name=name, uri_field=uri_field)
        return None
    check_uri_field(mapping, uri_field, index=name)
    refuse_lossy_source(mapping, index=name)
    body = videos_index_body(engine, settings, identity, uri_field=uri_field)
    added = attached_mapping(body, mapping, field=settings.field)
    refuse_taken_field(mapping, field=settings.field, index=name)
    lacking = lacking_settings(body, live)
    if not lacking:
        refuse_blocks(live, index=name)
        refuse_other_vectors(mapping, added, field=settings.field, index=name)
    properties = (mapping.get("properties") or {}) | added["properties"]
    return Attachment(
        added=added, mapping={**mapping, **added, "properties": properties}, lacking=lacking
    )


def plan_attachment(
    engine: Engine,
    settings: IndexSettings,
    identity: ModelIdentity,
    *,
    uri_field: str,
    copy_to: str | None = None,
    changed_field: str | None = None,
) -> AttachPlan:
    """What :func:`~vidsearch.index.attach_index` would do, and take; nothing is changed.

    Raises:
        IndexNotFoundError, MappingConflictError, ConfigError: as that does, but for what can be
            mended, which is among the ``problems``.
    """
    name = attached_name(engine, settings)
    mapping = engine.mapping(name)
    problems: list[str] = []
    if note := note_of(mapping):
        refuse_complete_copy(engine, name, note)
        problems.append(
            f"an earlier copy of {name!r} to {note.to!r} broke off, and will be undone first"
        )
    wanted = wanted_attachment(engine, settings, identity, name=name, uri_field=uri_field)
    kept = kept_of(engine, name)
    if wanted is None or not wanted.lacking:
        return AttachPlan(index=name, way="in place", kept=kept, problems=tuple(problems))
    alias = None if settings.name == name else settings.name
    if why := why_not_copied(name, alias=alias, settings=wanted.lacking, to=copy_to):
        problems.append(why)
    if alias is None:
        kept = _without_aliases(kept, name)
    following = following_of(engine, name, changed_field=changed_field)
    replicas = int(kept.settings.get("number_of_replicas", 1))
    cost = cost_of(engine, name, replicas=replicas, following=following)
    shards = int(kept.settings.get("number_of_shards", 1))
    problems += lacking_space(cost.needed_bytes, cost.free_bytes)
    problems += lacking_shards(engine, shards=shards, replicas=replicas)
    return AttachPlan(
        index=name,
        way="copy",
        kept=kept,
        copy=copy_to or copy_name(name),
        lacking=wanted.lacking,
        cost=cost,
        following=following,
        problems=tuple(problems),
    )


def _without_aliases(kept: Kept, name: str) -> Kept:
    """What a copy keeps that a person turns the application to: no alias is moved."""
    if not kept.aliases:
        return kept
    names = ", ".join(map(repr, kept.aliases))
    stay = f"aliases stay with {name!r}, which takes no more writes ({names}): move them yourself"
    return replace(kept, aliases={}, lost=(*kept.lost, stay))


def _require_same(
    engine: Engine,
    settings: IndexSettings,
    mapping: Json,
    identity: ModelIdentity,
    *,
    name: str,
    uri_field: str,
) -> None:
    """Refuse an index that is attached, unless only its registry is missing."""
    found = description_of(mapping, name=name, alias=settings.name)
    if found.uri_field is None:
        raise MappingConflictError(
            f"index {name!r} was made by `vidsearch index create`, and is vidsearch's own: it is "
            "used without attaching"
        )
    lost = not engine.indices_of(settings.registry)
    if not lost or found.uri_field != uri_field or found.field != settings.field:
        raise MappingConflictError(
            f"index {name!r} is attached already, with uri field {found.uri_field!r} and object "
            f"{found.field!r}; to change that, `vidsearch index detach` first"
        )
    identity.require(found.identity, where=f"index {name!r}")
