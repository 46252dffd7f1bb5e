"""Files with one array of NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile  # what NumPy raises of half an archive

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vidsearch.errors import VidsearchError

__all__ = ["load_npy"]


def load_npy(path: Path, *, error: type[VidsearchError]) -> NDArray[Any]:
    """The array of a ``.npy`` file, which runs no code of it.

    Raises:
        VidsearchError: the file cannot be read, or holds several arrays; of the class ``error``.
    """
    import numpy as np

    try:
        with path.open("rb") as file:  # which NumPy leaves open where it fails
            loaded = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError, BadZipFile) as problem:
        raise error(f"{path} is no .npy file that can be read: {problem}") from problem
    if not isinstance(loaded, np.ndarray):
        raise error(f"{path} holds several arrays: save one as .npy")
    return loaded
