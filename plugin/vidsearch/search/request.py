"""One search as data, checked as far as that goes without the index."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from vidsearch.config import FusionName
from vidsearch.errors import QueryError
from vidsearch.json_values import not_sendable, quoted
from vidsearch.search.facets import Facet
from vidsearch.search.filters import Filter
from vidsearch.search.native import AnyFusion
from vidsearch.search.request_fields import (
    Expects,
    Facets,
    Names,
    Number,
    Text,
    checked_later,
    expected,
    plain_sort,
    require_text,
)
from vidsearch.search.types import GroupBy, Level, Mode

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Leg", "SearchRequest", "require_text"]

Leg = str
"""``vector`` or ``keyword``."""

_LEGS: dict[Mode, tuple[Leg, ...]] = {
    "hybrid": ("vector", "keyword"),
    "vector": ("vector",),
    "keyword": ("keyword",),
}
_INPUTS = ("image", "clip", "like", "vector")
_SENT = ("like", "filter", "source", "highlight", "collapse", "sort")
"""What goes to the engine as it is given."""


def _require_id(id: str | None) -> str | None:
    if id is not None and not id.strip("."):
        raise ValueError
    return id


_Media = Annotated[Any, checked_later({"type": "string"})]


class SearchRequest(BaseModel):
    """The arguments of :meth:`vidsearch.search.VideoSearch.search` as one frozen object.

    Whatever is wrong raises a :class:`~vidsearch.errors.QueryError`, however the request is made.
    In JSON, ``from_`` is ``from``, an image or clip is a path or URL, and a fusion is a name.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    text: Text = Field(
        None,
        description="What is to be seen, or words of the videos' own fields. Beside one of the "
        "next four it is looked for in the words only.",
    )
    image: _Media = Field(
        None,
        description="Path or URL, bytes of a file, PIL image, or ``(height, width, 3)`` uint8 RGB.",
    )
    clip: _Media = Field(
        None,
        description="Path or URL; embedded as an ingested video is, its first ten minutes.",
    )
    like: Annotated[str | None, AfterValidator(_require_id), Expects("the id of a video")] = Field(
        None, description="Id of a video of the index, which is itself left out."
    )
    vector: Annotated[
        Sequence[float] | NDArray[Any] | None,
        checked_later({"type": "array", "items": {"type": "number"}}),
    ] = Field(None, description="As many floats as the vectors of the index have.")
    at: Annotated[Number | None, Expects("seconds into the video of like")] = Field(
        None,
        ge=0,
        description="With ``like``: seconds into it; like the segment there, not the whole video.",
    )
    k: Annotated[int, Expects("a whole number from 1 {to_window}")] = Field(
        10, ge=1, description="Number of hits, from 1 to the setting ``search.window``."
    )
    from_: Annotated[int, Expects("a whole number from 0 {to_last_page}")] = Field(
        0,
        ge=0,
        validation_alias=AliasChoices("from", "from_"),
        serialization_alias="from",
        description="Hits to pass over first, for the next page; with ``k`` within "
        "``search.window``.",
    )
    mode: Mode | None = Field(
        None,
        description="``vector`` compares with what is seen, ``keyword`` with the words, ``hybrid`` "
        "fuses both; default: hybrid where there is a text, else vector.",
    )
    level: Level = Field(
        "segment",
        description="``segment`` scores a video by its best segment, ``video`` as a whole, "
        "``both`` by the better of the two.",
    )
    filter: Annotated[
        Filter | None,
        checked_later({"type": ["object", "array"], "items": {"type": "object"}}),
    ] = Field(
        None,
        description="Conditions on the videos, in both legs; see "
        ":func:`~vidsearch.search.filters.build_filters`.",
    )
    min_cosine: Number | None = Field(
        None, ge=-1, le=1, description="The vector leg leaves out videos and moments below it."
    )
    gap: Number | None = Field(
        None, ge=0, description="The vector leg leaves out what is so much below the best cosine."
    )
    moments: int = Field(3, ge=0, le=100, description="Maximum number of moments per hit.")
    merge_gap: Number | None = Field(
        0.0,
        ge=0,
        description="Seconds that may lie between segments of one moment; ``None`` merges none; "
        "see :func:`~vidsearch.search.moments.merge_moments`.",
    )
    source: Names = Field(
        True, description="Fields of the documents to bring; ``True`` all, ``False`` none."
    )
    highlight: Names = Field(
        False,
        description="Bring fragments in which words were found, of all fields of the keyword leg "
        "or of these.",
    )
    explain: bool = Field(False, description="Explain the rank of each hit.")
    fusion: Annotated[AnyFusion | None, checked_later({"enum": list(get_args(FusionName))})] = (
        Field(
            None,
            description="How ``hybrid`` fuses: ``rrf``, ``linear``, ``sum``, ``native`` or "
            "``native_rrf`` with the weights, constant and window of the settings, or an object or "
            "function of :mod:`vidsearch.search.fusion` or :mod:`vidsearch.search.native`; "
            "default: the setting ``search.fusion``.",
        )
    )
    collapse: Annotated[
        Annotated[str, Field(min_length=1)] | Annotated[float, Field(gt=0, le=1)] | None,
        Expects("a cosine above 0 and up to 1, or the name of a field"),
    ] = Field(
        None,
        description="A cosine above which videos are near-duplicates, or a field: of several hits "
        "that are the same in it, the best stays and names the others as ``duplicates``.",
    )
    diversity: Number | None = Field(
        None, ge=0, le=1, description="How much hits should differ from those before them."
    )
    group_by: GroupBy = Field(
        "video",
        description="``video``: a hit is a video with its moments; ``moment``: a hit is one "
        "moment, at most ``moments`` of a video, and ``k`` and ``from_`` count moments.",
    )
    sort: Annotated[
        Annotated[str, Field(pattern=r"^-?[^-]")] | None,
        BeforeValidator(plain_sort),
        Expects("the name of a field, with - before it for the greatest values first"),
    ] = Field(
        None,
        description="Order the hits within the relevance cut by a field, as in ``-recorded``, the "
        "newest first; what lacks it is last.",
    )
    facets: Facets = Field(
        (),
        description="Fields whose values are counted over the videos within the relevance cut: "
        "names, or :class:`~vidsearch.search.Facet` objects.",
    )

    @classmethod
    def of(cls, text: Any, options: Mapping[str, Any], *, window: int) -> SearchRequest:
        """The request that arguments of a search make, or that was given in place of the text.

        Args:
            text: a text, a request, or nothing.
            options: the other arguments by name.
            window: the setting ``search.window``.

        Raises:
            QueryError: one of the arguments is wrong.
        """
        if not isinstance(text, SearchRequest):
            request = cls.model_validate({"text": text, **options}, context=window)
        elif given := [name for name, value in options.items() if cls._is_given(name, value)]:
            raise QueryError(f"{given[0]} belongs into the SearchRequest", argument=given[0])
        else:
            request = text
        if request.k > window:
            raise _wrong("k", request.k, window=window)
        if request.last > window:
            raise _wrong("from_", request.from_, window=window, k=request.k)
        return request

    @classmethod
    def require_known(cls, names: Iterable[Any]) -> None:
        """Refuse names that no argument has.

        Raises:
            QueryError: for the first of them.
        """
        for name in names:
            if name not in cls.model_fields and name != "from":
                shown = quoted(name)
                argument = name if shown == repr(name) else None
                raise QueryError(f"a search has no argument {shown}", argument=argument)

    @property
    def resolved_mode(self) -> Mode:
        """The mode, by what there is to search for where none is given."""
        return self.mode or ("vector" if self.text is None else "hybrid")

    @property
    def input(self) -> tuple[str, Any]:
        """What the vector leg compares with: ``text`` or one of the others, and its value."""
        given = self._inputs()
        return given[0] if given else ("text", self.text)

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The legs that the mode has."""
        return _LEGS[self.resolved_mode]

    @property
    def fuses(self) -> bool:
        """Whether there are several legs to fuse."""
        return len(self.legs) > 1

    @property
    def needs_vector(self) -> bool:
        """Whether there is a vector leg."""
        return "vector" in self.legs

    @property
    def compares_segments(self) -> bool:
        """Whether the vector leg finds moments."""
        return self.needs_vector and self.level != "video"

    @property
    def needs_model(self) -> bool:
        """Whether the model makes the vector of that leg."""
        return self.needs_vector and self.input[0] in {"text", "image", "clip"}

    @property
    def filters_videos(self) -> bool:
        """Whether some videos are left out: by ``filter``, or the one of ``like`` itself."""
        return bool(self.filter) or self.like is not None

    @property
    def reorders(self) -> bool:
        """Whether hits are folded together or made to differ, which takes the whole window."""
        return self.collapse is not None or self.diversity is not None

    @property
    def counted(self) -> tuple[Facet, ...]:
        """The facets that are asked for."""
        return cast("tuple[Facet, ...]", self.facets)

    @property
    def sort_key(self) -> tuple[str, bool] | None:
        """The field that hits are sorted by, and whether the greatest values are first."""
        if self.sort is None:
            return None
        return self.sort.removeprefix("-"), self.sort.startswith("-")

    @property
    def by_moment(self) -> bool:
        """Whether each hit is one moment."""
        return self.group_by == "moment"

    @property
    def last(self) -> int:
        """Rank of the last hit that is asked for."""
        return self.from_ + self.k

    def _inputs(self) -> list[tuple[str, Any]]:
        values = ((name, getattr(self, name)) for name in _INPUTS)
        return [(name, value) for name, value in values if value is not None]

    @classmethod
    def _is_given(cls, name: str, value: Any) -> bool:
        cls.require_known([name])
        default = cls.model_fields["from_" if name == "from" else name].default
        return type(value) is not type(default) or bool(value != default)

    @model_validator(mode="wrap")
    @classmethod
    def _raise_query_error(
        cls, data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        if isinstance(data, Mapping):
            cls.require_known(data)  # here, as each of them would be an error of its own
        try:
            request = handler(data)
        except ValidationError as error:
            location = error.errors(include_url=False)[0]["loc"]
            if not location:
                shown = quoted(data)
                raise QueryError(f"a search request is an object, not {shown}") from error
            name = "from_" if location[0] == "from" else str(location[0])
            k = data.get("k", cls.model_fields["k"].default)
            raise _wrong(name, data[location[0]], window=info.context, k=k) from error
        request._check_together()
        return request

    def _check_together(self) -> None:
        sent = {name: getattr(self, name) for name in _SENT}
        sent["facets"] = [facet.field for facet in self.counted]
        for name, value in sent.items():
            if reason := not_sendable(value):
                raise QueryError(f"{name} cannot be sent: {reason}", argument=name)
        given = [name for name, _ in self._inputs()]
        if len(given) > 1:
            names = " and ".join(given)
            raise QueryError(f"{names} cannot be searched for at once: give one of them")
        if self.text is None and not given:
            inputs = ", ".join(_INPUTS)
            raise QueryError(f"nothing to search for: give a text, or one of {inputs}")
        if self.mode == "keyword" and given:
            raise QueryError(
                f"mode=keyword compares words only: leave out {given[0]}", argument="mode"
            )
        if self.text is None and self.resolved_mode != "vector":
            raise QueryError(
                f"mode={self.mode} compares words: give a text, too, or mode=vector",
                argument="mode",
            )
        if self.at is not None and self.like is None:
            raise _wrong("at", self.at)
        if self.sort is not None and self.diversity:
            raise QueryError(
                "sort orders the hits by a field, diversity by how much they differ: give one of "
                "them",
                argument="sort",
            )
        if self.by_moment:
            self._check_moments()

    def _check_moments(self) -> None:
        problem = None
        if not self.needs_vector:
            problem = "mode=keyword compares words, which moments lack: take mode=hybrid or vector"
        elif self.level != "segment":
            problem = f"level={self.level} compares whole videos: take level=segment"
        elif not self.moments:
            problem = "moments=0 leaves none of a video: give the most that a video may have"
        elif self.diversity:
            problem = "diversity compares whole videos: leave it out"
        if problem:
            raise QueryError(f"group_by=moment: {problem}", argument="group_by")


def _wrong(name: str, value: Any, *, window: int | None = None, k: Any = None) -> QueryError:
    """The error that says what an argument must be."""
    to_window = to_last_page = "on"
    if window is not None:
        to_window = f"to {window} (the setting search.window)"
        if isinstance(k, int):
            to_last_page = f"to {window - k} (the page must lie within search.window)"
    said = expected(SearchRequest.model_fields[name].metadata, _properties().get(name, {}))
    said = said.format(to_window=to_window, to_last_page=to_last_page)
    return QueryError(f"{name} must be {said}, not {quoted(value)}", argument=name)


@functools.cache
def _properties() -> dict[str, Any]:
    properties: dict[str, Any] = SearchRequest.model_json_schema()["properties"]
    return properties
