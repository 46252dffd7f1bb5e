"""The tokenizer of a checkpoint, and how its text tower wants to be given tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vidsearch.encoders.checkpoint import Checkpoint
from vidsearch.encoders.texts import Cleaning, TextRecipe
from vidsearch.encoders.towers import loading, quiet_transformers, require_transformers
from vidsearch.errors import ModelUnavailableError

__all__ = ["load_texts"]

_LEAST = 0.9
"""Of the tokens that a SigLIP's table has room for; some tables are rounded up."""


@dataclass(frozen=True, slots=True)
class _Rules:
    """What transformers' class does in Python, and no tokenizer.json need say."""

    cleaning: Cleaning
    end: str
    padding: str


_GEMMA = _Rules("lower", end="<eos>", padding="<pad>")
_SIGLIP_RULES: Mapping[str, _Rules] = {
    "SiglipTokenizer": _Rules("lower-no-punctuation", end="</s>", padding="</s>"),
    # SigLIP 2 was trained on text in lower case, which Gemma's tokenizer does not see to.
    "GemmaTokenizer": _GEMMA,
    "GemmaTokenizerFast": _GEMMA,
    "Siglip2Tokenizer": _GEMMA,
}


def load_texts(checkpoint: Checkpoint) -> tuple[TextRecipe, Any]:
    """How texts are prepared, and the ``tokenizers.Tokenizer``, which neither pads nor cuts off.

    Raises:
        ModelUnavailableError: missing, or not the vocabulary that the model was trained with.
        MissingExtraError: transformers is not installed.
    """
    require_transformers()
    if checkpoint.family.name == "SigLIP":
        return _siglip_texts(checkpoint)
    return TextRecipe(checkpoint.context_length), _clip_tokenizer(checkpoint)


def _clip_tokenizer(checkpoint: Checkpoint) -> Any:
    transformers = require_transformers()
    with loading(checkpoint, "the tokenizer"), quiet_transformers():
        tokenizer = transformers.CLIPTokenizerFast.from_pretrained(
            str(checkpoint.folder), local_files_only=True
        )
    # transformers 5 builds a vocabulary of three tokens, silently, where the files are missing.
    if len(tokenizer) != checkpoint.vocabulary_size:
        raise _of_another(checkpoint, known=len(tokenizer))
    return _plain(tokenizer.backend_tokenizer)


def _siglip_texts(checkpoint: Checkpoint) -> tuple[TextRecipe, Any]:
    # Read as it is: transformers' class for the first SigLIP needs sentencepiece.
    from tokenizers import Tokenizer
    from tokenizers.processors import TemplateProcessing

    path = checkpoint.folder / "tokenizer.json"
    if not path.is_file():
        raise ModelUnavailableError(
            f"{checkpoint.name!r} has no tokenizer.json (SentencePiece's spiece.model or "
            "tokenizer.model is not read): copy the one of a checkpoint with the same vocabulary "
            f"to {str(checkpoint.folder)!r}"
        )
    with loading(checkpoint, "the tokenizer"):
        tokenizer = _plain(Tokenizer.from_file(str(path)))
        config = json.loads((checkpoint.folder / "tokenizer_config.json").read_text("utf-8"))
    known, room = tokenizer.get_vocab_size(), checkpoint.vocabulary_size
    if not _LEAST * room <= known <= room:
        raise _of_another(checkpoint, known=known)

    rules = _SIGLIP_RULES.get(config.get("tokenizer_class"))
    if rules is None or config.get("do_lower_case") is False:
        raise ModelUnavailableError(
            f"tokenizer_config.json of {checkpoint.name!r} has tokenizer_class="
            f"{config.get('tokenizer_class')!r} and do_lower_case={config.get('do_lower_case')!r}, "
            f"but texts are read as by {', '.join(_SIGLIP_RULES)} in lower case: use an encoder of "
            "your own (VIDSEARCH_MODEL__ENCODER)"
        )
    end, end_id = _token(checkpoint, tokenizer, config.get("eos_token"), rules.end)
    _, padding_id = _token(checkpoint, tokenizer, config.get("pad_token"), rules.padding)
    # transformers' classes put it there by their own settings, whatever the file says.
    tokenizer.post_processor = TemplateProcessing(
        single=["$A", end], special_tokens=[(end, end_id)]
    )
    return TextRecipe(checkpoint.context_length, rules.cleaning, padding_id), tokenizer


def _plain(tokenizer: Any) -> Any:
    # Files may be saved with the padding of the last call.
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _token(checkpoint: Checkpoint, tokenizer: Any, saved: Any, usual: str) -> tuple[str, int]:
    token = (saved.get("content") if isinstance(saved, dict) else saved) or usual
    found = tokenizer.token_to_id(token)
    if found is None:
        raise ModelUnavailableError(
            f"the tokenizer of {checkpoint.name!r} lacks the token {token!r}: tokenizer.json and "
            "tokenizer_config.json belong to different checkpoints"
        )
    return token, found


def _of_another(checkpoint: Checkpoint, *, known: int) -> ModelUnavailableError:
    return ModelUnavailableError(
        f"the tokenizer of {checkpoint.name!r} knows {known} tokens, but the model "
        f"{checkpoint.vocabulary_size}: tokenizer files are missing or belong to another checkpoint"
    )
