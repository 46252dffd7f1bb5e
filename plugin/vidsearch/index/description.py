"""What stands behind an alias, as the mapping of the index describes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from vidsearch.encoders.identity import ModelIdentity
from vidsearch.engines import EngineKind
from vidsearch.engines.calls import Calls
from vidsearch.engines.steps import Steps
from vidsearch.errors import (
    BackendAccessDeniedError,
    IndexNotFoundError,
    MappingConflictError,
)
from vidsearch.index.copy_note import note_of, what_became_of
from vidsearch.index.size import IndexSize
from vidsearch_mappings import IndexMeta, MetaError, read_meta
from vidsearch_mappings.attached import attachment_in
from vidsearch_mappings.field_kinds import FieldKind, field_kind, mapped_field, template_field
from vidsearch_mappings.queries import Level, vector_path
from vidsearch_mappings.scores import Similarity, similarity_of
from vidsearch_mappings.vectors import oversample_of
from vidsearch_mappings.videos import TEMPLATES

__all__ = [
    "IndexDescription",
    "concrete_index",
    "describe_index",
    "description_of",
    "found_once",
]

_T = TypeVar("_T")

_CREATE = "create it with `vidsearch index create`, or name another one in VIDSEARCH_INDEX__NAME"
_DERIVED = {"type": "derived", "enabled": False}
_VECTOR_TYPES: dict[EngineKind, str] = {
    "elasticsearch": "dense_vector",
    "opensearch": "knn_vector",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexDescription(IndexMeta):
    """One concrete index, as its mapping describes it."""

    alias: str
    """The name that it was asked for by."""
    name: str
    """The concrete index."""
    identity: ModelIdentity
    """The model whose vectors it holds."""
    properties: Mapping[str, Any]
    """``properties`` of its mapping."""
    runtime: Mapping[str, Any] = field(default_factory=dict)
    """Fields that Elasticsearch computes in a search; of those of OpenSearch (``derived``) the
    names alone."""
    templates: Sequence[Mapping[str, Any]] = ()
    """Dynamic templates of its mapping, besides those of vidsearch."""
    size: IndexSize | None = field(default=None, compare=False)
    """How many vectors it holds, where that was asked for."""
    is_replacement: bool = False
    """Whether it took the place of an attached index, and has no vidsearch object yet."""
    why_unfit: MappingConflictError | None = field(default=None, compare=False)
    """Why such an index cannot get the object as it is; searches by words are answered."""
    memo: dict[tuple[str, object], Any] = field(default_factory=dict, compare=False, repr=False)
    """What :func:`found_once` has found."""

    @property
    def attached(self) -> bool:
        """Whether the documents are the user's, and only the vidsearch object is written."""
        return self.uri_field is not None

    @property
    def oversample(self) -> float | None:
        """Candidates per hit to rescore with exact vectors; ``None`` where they are exact."""
        return oversample_of(self.quantization)

    @property
    def own_templates(self) -> bool:
        """Whether the user has dynamic templates."""
        return bool(self.templates)

    def kind_of(self, name: str) -> FieldKind | None:
        """What a field of the user takes; ``None`` where its first value will decide."""
        definition = mapped_field(self.properties, name)
        if definition is None:
            definition = template_field(self.templates, name)
        return None if definition is None else field_kind(definition)

    @property
    def why_replacement(self) -> str:
        """What became of the attached index, for messages."""
        came = f"alias {self.alias!r} was moved to index {self.name!r}"
        if self.alias == self.name:
            came = f"index {self.name!r} was created anew"
        return f"{came}, which has no object {self.field!r} yet"

    @property
    def missing_object(self) -> str | None:
        """What to do about the missing vidsearch object of a replacement; else ``None``."""
        if not self.is_replacement:
            return None
        if self.why_unfit is not None:
            return str(self.why_unfit)
        return (
            f"{self.why_replacement}, so none of its videos is found by what is seen: `vidsearch "
            "scan` adds it, and enqueues the documents"
        )

    def unfit(self, error: MappingConflictError) -> MappingConflictError:
        """The error for a replacement that cannot get the vidsearch object."""
        return MappingConflictError(
            f"{self.why_replacement} and cannot get it: {error}. Mend that and run `vidsearch "
            f"scan`, or `vidsearch index attach {self.alias} --uri-field FIELD` for another field"
        )

    def similarity(self, level: Level) -> Similarity:
        """How the engine scores the vectors of a level.

        Raises:
            MappingConflictError: no such vector, or not comparable.
        """
        path = vector_path(self.field, level=level)
        definition: Mapping[str, Any] = {"properties": self.properties}
        try:
            for name in path.split("."):
                definition = definition["properties"][name]
            return similarity_of(definition)
        except KeyError:
            raise MappingConflictError(f"index {self.name!r} has no field {path!r}") from None
        except ValueError as error:
            raise MappingConflictError(f"index {self.name!r}, field {path!r}: {error}") from error


def found_once(index: IndexDescription, key: tuple[str, object], find: Callable[[], _T]) -> _T:
    """What ``find`` returns, called once for a mapping, which may have thousands of fields.

    Args:
        index: has the mapping.
        key: what is looked for, such as ``("value field", "year")``.
        find: looks for it in the mapping.
    """
    kept = index.memo.get(key)
    # A copy of the description shares the memo, and may have another mapping.
    if kept is None or kept[0] is not index.properties:
        kept = index.memo[key] = (index.properties, find())
    found: _T = kept[1]
    return found


def concrete_index(calls: Calls, alias: str, *, advice: str) -> Steps[str]:
    """The name of the one index behind an alias, or the index of that name.

    ``advice`` is said where there is none.

    Raises:
        IndexNotFoundError: no such index or alias.
        MappingConflictError: it stands for several.
    """
    return _the_only((yield from calls.indices_of(alias)), alias, calls.url, advice)


def _the_only(names: Iterable[str], alias: str, url: str, advice: str) -> str:
    """The one name of an index; raises as :func:`concrete_index`."""
    names = sorted(names)
    if not names:
        raise IndexNotFoundError(f"no index or alias {alias!r} at {url}: {advice}")
    if len(names) > 1:
        raise MappingConflictError(
            f"alias {alias!r} stands for {len(names)} indices ({', '.join(names)}), and vidsearch "
            "needs one: name one of them, or point the alias to one"
        )
    return names[0]


def describe_index(
    calls: Calls, alias: str, *, registry: str | None = None
) -> Steps[IndexDescription]:
    """Read what stands behind an alias, in one request, so that name and mapping belong together.

    Nothing but the alias is asked for: one may have no right to the index behind it.

    Args:
        calls: of the engine.
        alias: alias, or name of the index.
        registry: where it is kept how the index is attached. One that took the place of an attached
            index is then described as that was.

    Raises:
        IndexNotFoundError: no such index or alias.
        MappingConflictError: several indices; not made by vidsearch nor attached; or being copied
            by ``vidsearch index attach``, which may have broken off. The message says what to do.
    """
    behind = yield from calls.mappings_behind(alias)
    name = _the_only(behind, alias, calls.url, _CREATE)
    mapping = behind[name]
    try:
        found = description_of(mapping, name=name, alias=alias)
    except MappingConflictError as error:
        if (note := note_of(mapping)) is not None:
            raise MappingConflictError((yield from what_became_of(calls, name, note))) from error
        replacement = yield from _replacement(calls, registry, mapping, name=name, alias=alias)
        if replacement is None:
            raise
        return replacement
    _require_vector_field(found, kind=calls.kind)
    return found


def _replacement(
    calls: Calls, registry: str | None, mapping: Mapping[str, Any], *, name: str, alias: str
) -> Steps[IndexDescription | None]:
    """An index in the place of an attached one; ``None`` where none is known to have been there.

    Raises:
        MappingConflictError: it has a field of the name of the vidsearch object.
    """
    if registry is None or "vidsearch" in (mapping.get("_meta") or {}):
        return None
    try:
        if not (yield from calls.indices_of(registry)):
            return None
        kept = attachment_in((yield from calls.mapping(registry)))
    except BackendAccessDeniedError:
        return None
    if kept is None:
        return None
    # A search loads it in this case alone.
    from vidsearch.index.attachable import refuse_taken_field, refuse_unfit

    found = description_of({**mapping, "_meta": kept}, name=name, alias=alias)
    found = replace(found, is_replacement=True)
    try:
        refuse_taken_field(mapping, field=found.field, index=name)
    except MappingConflictError as error:
        raise found.unfit(error) from error
    try:
        yield from refuse_unfit(calls, mapping, found, index=name, alias=alias)
    except MappingConflictError as error:
        unfit = found.unfit(error)
        unfit.__cause__ = error
        return replace(found, why_unfit=unfit)
    return found


def _require_vector_field(index: IndexDescription, *, kind: EngineKind) -> None:
    """Refuse an index whose vectors the engine of that kind would not search."""
    inside = index.properties.get(index.field, {}).get("properties", {})
    found = inside.get("vector", {}).get("type")
    if found in {None, _VECTOR_TYPES[kind]}:
        return  # where it is missing, a search of vectors says so, and one of words needs none
    for other, type in _VECTOR_TYPES.items():
        if found == type:
            raise MappingConflictError(
                f"index {index.name!r} holds vectors of {other}, but the setting engine.kind is "
                f"{kind!r}: set VIDSEARCH_ENGINE__KIND to {other}, or to auto"
            )
    raise MappingConflictError(
        f"{index.field}.vector of index {index.name!r} is a {found}, which no search of "
        "vectors finds: the index was copied without its mapping. Copy it into one that "
        "`vidsearch index create` has made"
    )


def description_of(mapping: Mapping[str, Any], *, name: str, alias: str) -> IndexDescription:
    """The description in a mapping.

    Raises:
        MappingConflictError: there is none, or it cannot be used.
    """
    try:
        meta = read_meta(mapping)
        identity = ModelIdentity.from_meta(meta.model)
    except (MetaError, KeyError) as error:
        if isinstance((mapping.get("_meta") or {}).get("vidsearch"), Mapping):
            raise MappingConflictError(
                f"index {name!r} does not say which model's vectors it holds: {error}. Use the "
                "version of vidsearch that made it, or choose another name (setting index.name) "
                "and `vidsearch index create` it"
            ) from error
        raise MappingConflictError(
            f"index {name!r} was not made by vidsearch: {error}. Choose another name (setting "
            "index.name), or attach to it with `vidsearch index attach`"
        ) from error
    return IndexDescription(
        **meta.values(),
        alias=alias,
        name=name,
        identity=identity,
        properties=mapping.get("properties", {}),
        runtime=mapping.get("runtime") or dict.fromkeys(mapping.get("derived", ()), _DERIVED),
        templates=[
            template
            for template in mapping.get("dynamic_templates", ())
            if not TEMPLATES.issuperset(template)
        ],
    )
