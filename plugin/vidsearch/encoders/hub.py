"""Single files of the Hugging Face hub, with its errors in our words."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from vidsearch.errors import MissingExtra, ModelUnavailable

__all__ = ["hub_file"]


def hub_file(
    name: str,
    filename: str,
    *,
    revision: str | None,
    offline: bool,
    token: SecretStr | None,
    optional: bool = False,
) -> Path | None:
    """Path in the hub's local cache of one file, downloaded if need be; ``None`` if there is none.

    The file's folder is named like the commit that it belongs to. An ``optional`` file counts as
    absent where the hub cannot be asked: a cache does not tell "absent" from "never fetched".

    Raises:
        ModelUnavailable: no such repository or revision, or neither cached nor reachable.
        MissingExtra: the hub's client is not installed.
    """
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import (
            EntryNotFoundError,
            GatedRepoError,
            HfHubHTTPError,
            HFValidationError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )
    except ImportError as error:
        raise MissingExtra.of("worker", needed_for="a checkpoint of the model hub") from error

    at = f"{name!r} (revision {revision!r})" if revision else repr(name)
    try:
        with _quiet_hub():
            return Path(
                hf_hub_download(
                    name,
                    filename,
                    revision=revision,
                    local_files_only=offline,
                    token=token.get_secret_value() if token else None,
                )
            )
    except LocalEntryNotFoundError as error:
        if optional:
            return None
        why = "and asking the hub is switched off" if offline else "and the hub did not answer"
        raise ModelUnavailable(
            f"the checkpoint {at} is not on this machine {why}. Fetch it once where there is a "
            f"network (`hf download {name}`), or set VIDSEARCH_MODEL__NAME to a folder or 'demo'"
        ) from error
    except EntryNotFoundError:
        return None
    except GatedRepoError as error:
        raise ModelUnavailable(
            f"the model hub refuses {at}: set VIDSEARCH_MODEL__TOKEN to a token with access"
        ) from error
    except RevisionNotFoundError as error:
        raise ModelUnavailable(f"the model hub has no {at}") from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise ModelUnavailable(
            f"the model hub knows no {at}. If it is private, set VIDSEARCH_MODEL__TOKEN; if a "
            "folder is meant, it is not there"
        ) from error
    except HfHubHTTPError as error:
        raise ModelUnavailable(f"the model hub failed on {at}: {error}") from error


@contextmanager
def _quiet_hub() -> Iterator[None]:
    # The client announces every retry and draws a bar for a file of one kilobyte.
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    log = logging.getLogger("huggingface_hub")
    level, bars = log.level, not are_progress_bars_disabled()
    log.setLevel(logging.ERROR)
    disable_progress_bars()
    try:
        yield
    finally:
        log.setLevel(level)
        if bars:
            enable_progress_bars()
