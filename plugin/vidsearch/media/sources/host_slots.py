"""How many videos are fetched from one host at once: the setting ``sources.per_host``."""

from __future__ import annotations

import contextlib
import hashlib
import random
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from vidsearch.config import SourceSettings
from vidsearch.errors import TemporaryFolderError
from vidsearch.media.file_locks import locks_folder, opened_lock, try_lock
from vidsearch.media.sources.uris import public_uri

__all__ = ["host_slot"]

_POLL_SECONDS = 0.2


@contextlib.contextmanager
def host_slot(uri: str, settings: SourceSettings) -> Iterator[None]:
    """Wait until fewer than ``sources.per_host`` videos are fetched from the host, and be one.

    The slots are locked files of this machine and user, which the system unlocks when a worker
    dies. Waiting has no order and no end: a fetch ends by its own timeouts.

    Args:
        uri: that is read.
        settings: the section ``sources``.

    Raises:
        TemporaryFolderError: there is no place for the locked files.
    """
    if not settings.per_host:
        yield
        return
    try:
        host = (urlsplit(uri).hostname or "").lower()
    except ValueError:  # no host: it is refused when it is fetched
        host = ""
    name = hashlib.sha256(host.encode()).hexdigest()[:32]
    with contextlib.ExitStack() as stack:
        try:
            folder = locks_folder(settings.folder, "hosts")
            locks = [opened_lock(folder / f"{name}-{n}", stack) for n in range(settings.per_host)]
        except OSError as error:
            raise TemporaryFolderError(
                f"{public_uri(uri)} cannot be fetched: no locks can be made for sources.per_host "
                f"({error.strerror}); make room in the temporary folder or set sources.folder"
            ) from error
        while not any(map(try_lock, locks)):
            time.sleep(_POLL_SECONDS * random.uniform(0.5, 1.5))
        yield
