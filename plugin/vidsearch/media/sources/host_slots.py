"""How many videos are fetched from one host at once: the setting ``sources.per_host``."""

from __future__ import annotations

import contextlib
import hashlib
import random
import time
from collections.abc import Iterator

from vidsearch.config import SourceSettings
from vidsearch.errors import TemporaryFolderError
from vidsearch.media.file_locks import locks_folder, opened_lock, try_lock

__all__ = ["host_slot"]

_POLL_SECONDS = 0.2


@contextlib.contextmanager
def host_slot(host: str, settings: SourceSettings, *, where: str) -> Iterator[None]:
    """Wait until fewer than ``sources.per_host`` videos are fetched from the host, and be one.

    The slots are locked files of this machine and user, which the system unlocks when a worker
    dies. Waiting has no order and no end: a fetch ends by its own timeouts.

    Args:
        host: or bucket, in its one spelling.
        settings: the section ``sources``.
        where: what messages call the video.

    Raises:
        TemporaryFolderError: there is no place for the locked files.
    """
    if not settings.per_host:
        yield
        return
    name = hashlib.sha256(host.encode()).hexdigest()[:32]
    with contextlib.ExitStack() as stack:
        try:
            folder = locks_folder(settings.folder, "hosts")
            locks = [opened_lock(folder / f"{name}-{n}", stack) for n in range(settings.per_host)]
        except OSError as error:
            raise TemporaryFolderError(
                f"{where} cannot be fetched: no locks can be made for sources.per_host "
                f"({error.strerror}). Make room in the temporary folder, or set sources.folder"
            ) from error
        while not any(map(try_lock, locks)):
            time.sleep(_POLL_SECONDS * random.uniform(0.5, 1.5))
        yield
