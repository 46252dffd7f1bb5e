"""``vidsearch demo`` where something is not installed: said before anything is started."""

from __future__ import annotations

import sys

import pytest

from vidsearch.cli.root import main
from vidsearch.local import Stack


@pytest.mark.parametrize(
    ("absent", "engine", "message"),
    [
        *(
            (module, "elasticsearch", "the demo needs an extra: pip install 'vidsearch[worker]'")
            for module in ("av", "cv2", "PIL", "torch", "transformers")
        ),
        (
            "opensearchpy",
            "opensearch",
            "the demo on OpenSearch needs an extra: pip install 'vidsearch[opensearch]'",
        ),
    ],
)
def test_missing_extra_is_reported_in_one_line_before_anything_starts(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    absent: str,
    engine: str,
    message: str,
) -> None:
    started: list[object] = []
    monkeypatch.setattr(Stack, "up", lambda *args, **options: started.append(args))
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(SystemExit) as stop:
        main(["demo", "--engine", engine])
    out, err = capsys.readouterr()
    assert (stop.value.code, out, err) == (2, "", f"Error: {message}\n")
    assert started == []
