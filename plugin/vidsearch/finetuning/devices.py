"""The process that trains, or several that ``accelerate launch`` started, each with a device.

Every process has all weights and a share of each batch. What they put together has the order of
the processes, so that all of them hold the same afterwards.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from vidsearch.encoders.towers import torch_device
from vidsearch.error_texts import first_line
from vidsearch.errors import ConfigError, MissingExtraError

__all__ = ["Devices", "open_devices", "processes_of_machine"]

_T = TypeVar("_T")
_OF_EACH_PROCESS = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What a launcher sets beside ``WORLD_SIZE``, and torch needs."""
_WAY_OUT = (
    "start the processes with `accelerate launch`, which sets all of these, or unset WORLD_SIZE to "
    "train in one process"
)
_LONGEST_WAIT = timedelta(days=7)
"""For the others, of which one may decode all day; the launcher ends all if one fails."""


class Devices:
    """One process, which has no other to share with."""

    number: int = 0
    """Of this process."""
    count: int = 1
    """Of all processes."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and reports."""
        return self.number == 0

    def share(self, items: Sequence[_T]) -> Sequence[_T]:
        """The part of a row of items that is this process's, maybe none."""
        first, last = (len(items) * n // self.count for n in (self.number, self.number + 1))
        return items[first:last]

    def all_of(self, items: Sequence[_T]) -> list[_T]:
        """The items of all processes; each can be pickled. All processes call this together."""
        return list(items)

    def gather(self, rows: Tensor) -> tuple[Tensor, int]:
        """The rows of all processes, and where those of this one begin; without gradients."""
        return rows, 0

    def add_up(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give every process the sum of all processes' gradients."""

    def wait(self) -> None:
        """Until all processes have come here."""


def open_devices(setting: str, *, threads: int) -> Devices:
    """The device of this process, and the others where it was launched as one of several.

    Args:
        setting: ``model.device``.
        threads: that torch computes with in this process.

    Raises:
        ConfigError: this machine has no such device, or one only where several are needed; or the
            environment does not say how to join the other processes.
        MissingExtraError: accelerate is not installed, and this is one of several processes.
    """
    if (number := _number_from("WORLD_SIZE")) == 1:
        return Devices(torch_device(setting, threads=threads))
    if missing := [name for name in _OF_EACH_PROCESS if not os.environ.get(name)]:
        raise ConfigError(
            f"WORLD_SIZE={number} says that this is one of {number} processes, and the environment "
            f"lacks {', '.join(missing)}: {_WAY_OUT}"
        )
    return _Launched(setting, threads=threads)


def processes_of_machine() -> int:
    """How many processes share this machine. Raises ConfigError if that is no number."""
    return _number_from("LOCAL_WORLD_SIZE")


def _number_from(variable: str, *, least: int = 1) -> int:
    """What a launcher says of its processes; the least where it says nothing."""
    said = os.environ.get(variable) or str(least)
    if not said.isdecimal() or int(said) < least:
        raise ConfigError(f"{variable}={said!r} is not a number from {least} on: {_WAY_OUT}")
    return int(said)


class _Launched(Devices):
    """One of several processes; what it has of them is accelerate's."""

    def __init__(self, setting: str, *, threads: int) -> None:
        try:
            from accelerate import PartialState, utils
        except ImportError as error:
            raise MissingExtraError.of("accelerate", needed_for="more than one process") from error
        if setting not in {"auto", "cpu", "cuda"}:
            raise ConfigError(
                f"model.device is {setting!r}, and several processes cannot share it: set "
                "VIDSEARCH_MODEL__DEVICE to 'auto', 'cuda' or 'cpu', and each takes its own"
            )
        if setting != "cpu" and torch.cuda.is_available():
            number, cards = _number_from("LOCAL_RANK", least=0), torch.cuda.device_count()
            processes = max(processes_of_machine(), number + 1)
            if processes > cards:
                raise ConfigError(
                    f"{processes} processes were launched on this machine, which has {cards} "
                    "card(s), and each takes its own: launch fewer (--num_processes), or set "
                    "VIDSEARCH_MODEL__DEVICE to 'cpu'"
                )
            torch.cuda.set_device(number)
        on_cpu = torch_device(setting, threads=threads).type == "cpu"
        try:
            self._state: Any = PartialState(cpu=on_cpu, timeout=_LONGEST_WAIT)
        except (ValueError, RuntimeError) as error:
            at = ":".join(os.environ[name] for name in ("MASTER_ADDR", "MASTER_PORT"))
            raise ConfigError(
                f"the processes cannot be joined at {at}, by MASTER_ADDR and MASTER_PORT "
                f"({first_line(error)}): {_WAY_OUT}"
            ) from error
        self._utils: Any = utils
        super().__init__(self._state.device)
        self.number, self.count = self._state.process_index, self._state.num_processes
        atexit.register(self._state.destroy_process_group)

    def all_of(self, items: Sequence[_T]) -> list[_T]:
        found: list[_T] = self._utils.gather_object(list(items))
        return found

    def gather(self, rows: Tensor) -> tuple[Tensor, int]:
        numbers = self._utils.gather(torch.tensor([len(rows)], device=rows.device)).tolist()
        padded = self._utils.gather(self._utils.pad_across_processes(rows))
        parts = zip(padded.split(max(numbers)), numbers, strict=True)
        return torch.cat([part[:number] for part, number in parts]), sum(numbers[: self.number])

    def add_up(self, parameters: Iterable[nn.Parameter]) -> None:
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.copy_(self._utils.reduce(parameter.grad, "sum"))

    def wait(self) -> None:
        self._state.wait_for_everyone()
