"""Values that are built when first needed, by one thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

__all__ = ["Once", "build_once", "built", "forget_built"]

_T = TypeVar("_T")
_STORE = "_built_once"


class build_once(Generic[_T]):  # noqa: N801 - a decorator, as functools.cached_property is
    """A property that is built by the first thread that asks for it; a failure is tried again.

    ``functools.cached_property`` has no lock, and before Python 3.12 one for all instances. Here
    the properties of an instance share a lock, and the building of one may ask for another.
    """

    def __init__(self, build: Callable[[Any], _T]) -> None:
        self._build = build
        self._name = build.__name__
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> build_once[_T]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> _T: ...

    def __get__(self, instance: object | None, owner: type) -> build_once[_T] | _T:
        if instance is None:
            return self
        store = _store(instance)
        values = store.values
        if self._name not in values:
            with store.lock:
                values = store.values
                if self._name not in values:
                    values[self._name] = self._build(instance)
        value: _T = values[self._name]
        return value


class Once(Generic[_T]):
    """A value that is built when it is first called for."""

    def __init__(self, build: Callable[[], _T]) -> None:
        self._build = build

    @build_once
    def _value(self) -> _T:
        return self._build()

    def __call__(self) -> _T:
        return self._value

    @property
    def is_built(self) -> bool:
        """Whether the value is there already."""
        return bool(built(self))


def built(instance: object) -> dict[str, Any]:
    """The values of an instance that were built so far, by name."""
    return dict(_store(instance).values)


def forget_built(instance: object, *, forked: bool = False) -> dict[str, Any]:
    """Let every value be built anew.

    Args:
        instance: has the properties.
        forked: in the child process of a fork, where a thread that is building does not go on, so
            that its lock stays closed; otherwise it is waited for.

    Returns:
        What was built, by name.
    """
    if forked:
        return vars(instance).pop(_STORE, _Store()).values  # type: ignore[no-any-return]
    store = _store(instance)
    with store.lock:
        values, store.values = store.values, {}
    return values


class _Store:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.values: dict[str, Any] = {}


def _store(instance: object) -> _Store:
    held: _Store | None = vars(instance).get(_STORE)
    # Two threads may get here; setdefault gives both the same one.
    return held or vars(instance).setdefault(_STORE, _Store())
