"""What of an identity is compared, and what is only noted."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from vidsearch.encoders import ModelIdentity
from vidsearch.errors import ModelMismatchError

_ONE = ModelIdentity(name="acme/clip", revision="0123456789abcdef", dims=512, image_size=224)
_OTHER: dict[str, Any] = {
    "name": "acme/other",
    "revision": "fedcba9876543210",
    "dims": 768,
    "image_size": 336,
    "pooling": "attention",
    "sampling": "notebook@1fps",
    "frames": "squash-bicubic",
}


def test_every_field_is_either_compared_or_noted() -> None:
    assert {f.name for f in fields(ModelIdentity)} == {*_OTHER, "precision"}


@pytest.mark.parametrize("name", sorted(_OTHER))
def test_difference_in_a_compared_field_is_refused(name: str) -> None:
    other = replace(_ONE, **{name: _OTHER[name]})
    assert other != _ONE
    with pytest.raises(ModelMismatchError, match=rf"index 'videos'.*differs in {name}\)"):
        _ONE.require(other, where="index 'videos'")


def test_precision_is_only_noted() -> None:
    other = replace(_ONE, precision="bf16")
    _ONE.require(other, where="index 'videos'")
    assert other == _ONE
    assert hash(other) == hash(_ONE)
    # What is made of it, such as a document's fingerprint, does not change with it.
    assert other.compared() == _ONE.compared()
    assert other.to_meta() == {**_ONE.compared(), "precision": "bf16"}


def test_crop_bicubic_is_not_written_into_meta() -> None:
    """Indexes that were made when there was no other hold the same bytes."""
    for written in (_ONE.to_meta(), _ONE.compared()):
        assert "frames" not in written
        assert ModelIdentity.from_meta(written).frames == "crop-bicubic"
    other = replace(_ONE, frames="squash-bilinear")
    assert other.compared()["frames"] == "squash-bilinear"
    assert ModelIdentity.from_meta(other.to_meta()) == other
    assert "squash-bilinear" in str(other)
    assert "crop-bicubic" not in str(_ONE)


def test_index_of_an_earlier_version_has_no_precision() -> None:
    meta = _ONE.compared()
    # Earlier versions knew no other.
    assert ModelIdentity.from_meta(meta).precision == "fp32"
    assert ModelIdentity.from_meta({**meta, "colour": "of a later version"}) == _ONE


def test_missing_required_key_is_refused() -> None:
    with pytest.raises(KeyError, match="dims, revision"):
        ModelIdentity.from_meta({"name": "acme/clip", "image_size": 224})
