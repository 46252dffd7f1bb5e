"""Language tags, however they are written."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from vidsearch.config import IngestSettings
from vidsearch.media.languages import canonical_tag, language_rank


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("en", "en"), ("ENG", "en"), ("English", "en"), ("ger", "de"), ("deu", "de"),
        ("pt_BR", "pt-br"), ("zho-Hant", "zh-hant"), ("chi", "zh"), ("nob", "no"), ("fil", "fil"),
        ("und", ""), ("mul", ""), ("", ""), ("gre", "el"), ("cze", "cs"), ("per", "fa"),
    ],
)  # fmt: skip
def test_tag_has_one_form(tag: str, expected: str) -> None:
    assert canonical_tag(tag) == expected


def test_ranks_put_the_best_language_first() -> None:
    wanted = ("pt-BR", "en")
    tags = ["pt-BR", "por", "eng", "und", "pt-PT", "fr"]
    ranks = [language_rank(tag, wanted) for tag in tags]
    assert ranks == [(0, 0), (0, 1), (1, 0), (2, 0), (3, 0), (3, 0)]
    assert language_rank("fr", ()) > language_rank("", ())


def test_setting_takes_codes_only() -> None:
    assert (
        IngestSettings(subtitle_languages=("en", "ger", "pt-BR")).subtitle_languages[2] == "pt-BR"
    )
    with pytest.raises(ValidationError, match="'English, please' is no code of a language"):
        IngestSettings(subtitle_languages=("en", "English, please"))
