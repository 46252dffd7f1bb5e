"""One signature for several methods: they take ``**options`` and show the arguments of another."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from vidsearch.errors import QueryError

__all__ = ["refuses_unknown", "same_arguments_as", "same_options_as"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_Self = TypeVar("_Self")
_First = TypeVar("_First")


def refuses_unknown(method: Callable[_P, _R]) -> Callable[_P, _R]:
    """Raise ``QueryError`` for an argument that a search lacks, as methods with options do."""
    known = inspect.signature(method).parameters

    @functools.wraps(method)
    def checked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        for name in kwargs:
            if name not in known:
                raise QueryError(f"a search has no argument {name!r}", argument=name)
        return method(*args, **kwargs)

    return checked


def same_arguments_as(
    method: Callable[Concatenate[Any, _P], Any],
) -> Callable[[Callable[..., _R]], Callable[Concatenate[Any, _P], _R]]:
    """Give a method the arguments of ``method``, for type checkers, editors and ``help``.

    Where it has no docstring, it gets that of ``method``, too.
    """

    def decorate(function: Callable[..., _R]) -> Callable[Concatenate[Any, _P], _R]:
        _take_parameters(function, method, keep=1)
        function.__doc__ = function.__doc__ or method.__doc__
        return function

    return decorate


def same_options_as(
    method: Callable[Concatenate[Any, Any, _P], Any],
) -> Callable[
    [Callable[Concatenate[_Self, _First, ...], _R]], Callable[Concatenate[_Self, _First, _P], _R]
]:
    """Give a method the arguments of ``method`` after its own first one."""

    def decorate(
        function: Callable[Concatenate[_Self, _First, ...], _R],
    ) -> Callable[Concatenate[_Self, _First, _P], _R]:
        _take_parameters(function, method, keep=2)
        return function

    return decorate


def _take_parameters(
    function: Callable[..., Any], method: Callable[..., Any], *, keep: int
) -> None:
    own, other = inspect.signature(function), inspect.signature(method)
    parameters = [*own.parameters.values()][:keep] + [*other.parameters.values()][keep:]
    function.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
