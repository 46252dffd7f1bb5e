"""Files of the Hugging Face hub; its errors become errors of vidsearch."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from vidsearch.error_texts import first_line
from vidsearch.errors import MissingExtraError, ModelUnavailableError

__all__ = ["hub_folder"]


def hub_folder(
    name: str,
    files: Sequence[str],
    *,
    revision: str | None,
    offline: bool,
    token: SecretStr | None,
) -> Path:
    """The folder in the hub's local cache that holds one commit; missing files are downloaded.

    Args:
        name: hub id.
        files: names or patterns of the files that are wanted; what the hub does not have is not
            an error.
        revision: commit, tag or branch; the default branch where ``None``.
        offline: never ask the hub.
        token: for private checkpoints.

    Returns:
        A folder named like the commit. Where the hub does not answer, the one that an earlier
        download left, if there is one.

    Raises:
        ModelUnavailableError: no such repository or revision, or neither cached nor reachable.
        MissingExtraError: the hub's client is not installed.
    """
    try:
        from huggingface_hub import errors, snapshot_download
    except ImportError as error:
        raise MissingExtraError.of("worker", needed_for="a checkpoint of the model hub") from error

    secret = token.get_secret_value().strip() if token else None
    at = f"{name!r} (revision {revision!r})" if revision else repr(name)
    try:
        with _quiet_hub():
            return Path(
                snapshot_download(
                    name,
                    revision=revision,
                    allow_patterns=list(files),
                    local_files_only=offline,
                    token=secret or None,
                )
            )
    except errors.LocalEntryNotFoundError as error:
        why = "and asking the hub is switched off" if offline else "and the hub did not answer"
        raise ModelUnavailableError(
            f"the checkpoint {at} is not on this machine {why}. Fetch it once where there is a "
            f"network (`hf download {name}`), or set VIDSEARCH_MODEL__NAME to a folder or 'demo'"
        ) from error
    except errors.GatedRepoError as error:
        raise ModelUnavailableError(
            f"the model hub refuses {at}: set VIDSEARCH_MODEL__TOKEN to a token with access"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelUnavailableError(f"the model hub has no {at}") from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise ModelUnavailableError(
            f"the model hub knows no {at}. If it is private, set VIDSEARCH_MODEL__TOKEN; if a "
            "folder is meant, it is not there"
        ) from error
    except Exception as error:  # of the client or of the HTTP library below it
        raise ModelUnavailableError(
            f"fetching {at} from the model hub failed: {first_line(error)}"
        ) from error


@contextmanager
def _quiet_hub() -> Iterator[None]:
    # The client announces every retry and draws several bars per download.
    import huggingface_hub.utils

    utils: Any = huggingface_hub.utils
    log = logging.getLogger("huggingface_hub")
    level, bars = log.level, not utils.are_progress_bars_disabled()
    log.setLevel(logging.ERROR)
    utils.disable_progress_bars()
    try:
        yield
    finally:
        log.setLevel(level)
        if bars:
            utils.enable_progress_bars()
