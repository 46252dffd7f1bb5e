"""Settings: read once at the edge, passed inwards.

Sources, the first one wins: arguments, environment (``VIDSEARCH_ENGINE__URL``), a TOML file
(``vidsearch.toml`` in the working folder, or the file that ``VIDSEARCH_CONFIG`` names), defaults.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from vidsearch.errors import ConfigError
from vidsearch_mappings.types import EngineKind, Quantization

__all__ = [
    "URI_FORMS",
    "BrokerSettings",
    "EngineSettings",
    "FusionName",
    "IndexSettings",
    "IngestSettings",
    "ModelSettings",
    "SearchSettings",
    "Settings",
    "SourceSettings",
    "ThumbnailSettings",
    "load_settings",
    "redact_url",
    "setting_paths",
    "settings_file",
    "variable_name",
]

URI_FORMS = "a path, file://, http://, https://, s3://, gs:// or az://"
"""What a video's URI may be, for messages."""

_PREFIX = "VIDSEARCH_"
_CONFIG_VARIABLE = "VIDSEARCH_CONFIG"
_DEFAULT_FILE = "vidsearch.toml"
_BLANK = re.compile(r"\s")
_NEXT_URL = re.compile(r";(?=[A-Za-z][A-Za-z0-9+.-]*://)")


class _Section(BaseModel):
    # Hidden, as a wrong value may hold a secret, and a traceback shows the message.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class EngineSettings(_Section):
    """The cluster that holds the videos."""

    url: str = Field("http://localhost:9200", description="URL of the cluster.")
    kind: Literal["auto", EngineKind] = Field(
        "auto", description="Which engine answers there; `auto` asks it."
    )
    api_key: SecretStr | None = Field(None, description="Elasticsearch API key (base64 form).")
    username: str | None = Field(None, description="User for basic authentication.")
    password: SecretStr | None = Field(None, description="Password for basic authentication.")
    ca_certs: Path | None = Field(None, description="CA bundle that signed the cluster's TLS.")
    verify_certs: bool = Field(True, description="Check the cluster's TLS certificate.")
    client_cert: Path | None = Field(
        None, description="Client certificate (PEM) for mutual TLS; may hold the key, too."
    )
    client_key: Path | None = Field(
        None, description="Key of the client certificate (PEM, no passphrase)."
    )
    aws_region: str | None = Field(
        None,
        min_length=1,
        description="Region of an AWS OpenSearch domain; signs requests (SigV4, extra `aws`).",
    )
    aws_service: Literal["es", "aoss"] = Field(
        "es", description="What is signed for: a domain, or OpenSearch Serverless."
    )
    timeout: float = Field(30.0, gt=0, description="Seconds before a request is given up.")

    @field_validator("url")
    @classmethod
    def _http_url(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:  # brackets that do not close, a port that is no number
            usable = False
        if not usable or _BLANK.search(value):
            raise ValueError("must look like http://host:9200 or https://host:9200")
        if parts.username is not None or parts.password is not None:
            raise ValueError("must not hold credentials; set engine.username and engine.password")
        return value.rstrip("/")


class IndexSettings(_Section):
    """The index and how videos are laid out in it."""

    name: str = Field("videos", min_length=1, description="Alias that readers use.")
    field: str = Field(
        "video", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="Object that holds our data."
    )
    quantization: Quantization = Field("int8", description="How the engine keeps vectors.")
    shards: int = Field(1, ge=1, description="Primary shards of a new index.")
    replicas: int = Field(1, ge=0, description="Replicas of a new index, and of the registry.")
    segment_seconds: float = Field(10.0, gt=0, description="Length of a moment in seconds.")
    max_segments: int = Field(
        512, ge=1, le=10_000, description="Most moments per video; windows grow beyond it."
    )
    segments: Literal["fixed", "semantic", "shots"] = Field(
        "fixed",
        description="Where moments end: every `segment_seconds`, where the content changes, "
        "or at the cuts (extra `shots`).",
    )
    segment_overlap: float = Field(
        0.0, ge=0, description="Seconds that neighbouring `fixed` moments share."
    )

    @model_validator(mode="after")
    def _overlap_fits(self) -> IndexSettings:
        if self.segment_overlap >= self.segment_seconds:
            raise ValueError("segment_overlap must be shorter than segment_seconds")
        return self

    @property
    def registry(self) -> str:
        """Name of the registry index."""
        return f"{self.name}-registry"


class ModelSettings(_Section):
    """The encoder."""

    name: str = Field(
        "Searchium-ai/clip4clip-webvid150k",
        description="Hub id or folder of a CLIP or SigLIP checkpoint, or `demo`, the shipped toy.",
    )
    revision: str | None = Field(None, description="Hub revision to pin.")
    encoder: str = Field(
        "auto",
        min_length=1,
        description="What runs the model: `torch`, `onnx` (a folder made by `vidsearch model "
        "export`), `auto` (by what `name` holds), or your own, as `package.module:Name`.",
    )
    device: str = Field("auto", description="`auto`, `cpu`, `cuda`, `mps`, …")
    precision: Literal["auto", "fp32", "bf16", "int8"] = Field(
        "auto",
        description="Numbers the model computes with: `auto` takes bf16 for frames where the "
        "hardware has it, else fp32; `int8` needs an ONNX export.",
    )
    batch_size: int = Field(8, ge=1, description="Frames per forward pass.")
    threads: int = Field(1, ge=1, description="Torch threads per process.")
    offline: bool = Field(False, description="Never ask the model hub.")
    token: SecretStr | None = Field(None, description="Model hub token.")


class BrokerSettings(_Section):
    """Celery's broker."""

    url: SecretStr = Field(SecretStr("redis://localhost:6379/0"), description="Broker URL.")
    queue: str = Field("vidsearch", min_length=1, description="Queue of the ingestion tasks.")


class IngestSettings(_Section):
    """What a worker does with a registered video."""

    fps: float = Field(1.0, gt=0, le=60, description="Frames read per second of video.")
    sampling: Literal["played-at", "notebook"] = Field(
        "played-at",
        description="Which frames: the one on display at each instant, or the frame numbers "
        "that the CLIP4Clip notebook takes.",
    )
    decoder: Literal["pyav", "opencv"] = Field(
        "pyav", description="Which decoder reads frames; `opencv` is the slower reference."
    )
    decoder_threads: int = Field(1, ge=1, description="Decoding threads per worker process.")
    max_damaged: float = Field(
        0.5, ge=0, le=1, description="Share of a video's frames that may fail to decode."
    )
    isolate: bool = Field(
        True, description="Decode in a child process, which a broken codec may hang or crash."
    )
    stall_seconds: float = Field(
        60.0, gt=0, description="A decoder without a new frame for so long is stopped."
    )
    decode_megabytes: int = Field(
        4096, ge=1024, description="Most memory of the decoding process (address space)."
    )
    subtitles: bool = Field(
        True, description="Read subtitle tracks, and .srt and .vtt files beside a video."
    )
    lease_seconds: float = Field(
        120.0, ge=1, description="A worker silent for so long has lost its video."
    )
    max_attempts: int = Field(3, ge=1, description="Attempts before a video is `dead`.")
    retry_seconds: float = Field(
        5.0, gt=0, description="First wait before a retry; it doubles, with jitter."
    )
    sweep_seconds: float = Field(60.0, gt=0, description="How often beat runs the sweep.")
    scan_seconds: float = Field(
        0.0, ge=0, description="How often beat scans an attached index for new videos; 0 is never."
    )


class SourceSettings(_Section):
    """Where videos may be read from, and how large they may be."""

    schemes: tuple[str, ...] = Field(
        ("file", "http", "https", "s3", "gs", "az"),
        description="Schemes of a video's URI that are read; a bare path counts as `file`.",
    )
    roots: tuple[Path, ...] = Field(
        (), description="Folders that local videos must lie in; empty allows any."
    )
    hosts: tuple[str, ...] = Field(
        (),
        description="Hosts (`*.example.com` for all below, `host:port`) and buckets that videos "
        "may come from; empty allows any.",
    )
    private_hosts: tuple[str, ...] = Field(
        (),
        description="Hosts or networks (CIDR) of your own that may be reached at private, loopback "
        "or link-local addresses; all others are refused there. Where `hosts` is set, they must "
        "stand in both.",
    )
    max_bytes: int = Field(10 * 2**30, ge=1, description="Most bytes of a video.")
    max_seconds: float = Field(12 * 3600.0, gt=0, description="Longest video.")
    max_pixels: int = Field(8192 * 4320, ge=1, description="Most pixels of a frame.")
    folder: Path | None = Field(
        None, description="Folder for temporary copies of remote videos; unset is the system's."
    )


class ThumbnailSettings(_Section):
    """A picture for every moment."""

    url: str | None = Field(
        None, description="Folder or bucket (fsspec URL) for them; unset makes none."
    )
    format: Literal["webp", "jpeg"] = Field("webp", description="Format of the pictures.")
    size: int = Field(320, ge=16, le=4096, description="Longer side in pixels.")


FusionName = Literal["rrf", "linear", "sum", "native", "native_rrf"]
"""Fusions that have a name; see :func:`vidsearch.search.native.choose`."""


class SearchSettings(_Section):
    """Defaults of a search."""

    keyword_fields: tuple[str, ...] = Field(
        ("title^2", "description", "tags", "*"),
        description="Fields of the keyword leg, with boosts.",
    )
    num_candidates: int = Field(200, ge=1, le=10_000, description="Candidates per shard.")
    window: int = Field(100, ge=1, le=10_000, description="Hits of each leg that are fused.")
    rescore: bool = Field(
        True,
        description="Score candidates of quantised vectors anew with the exact ones. OpenSearch "
        "does it by the script `knn_score`: switch it off where the cluster allows no scripts.",
    )
    fusion: FusionName = Field(
        "rrf",
        description="How `hybrid` fuses: computed here (`rrf`, `linear`), or by the engine (`sum`, "
        "`native`, `native_rrf`).",
    )
    rank_constant: int = Field(60, ge=1, description="Constant of reciprocal rank fusion.")
    normalizer: Literal["min_max", "z_score"] = Field(
        "min_max", description="How `linear` and `native` bring scores to one scale."
    )
    vector_weight: float = Field(
        1.0, ge=0, allow_inf_nan=False, description="Weight of the vector leg in a fusion."
    )
    keyword_weight: float = Field(
        1.0, ge=0, allow_inf_nan=False, description="Weight of the keyword leg in a fusion."
    )

    highlight_tags: tuple[str, str] = Field(
        ("<em>", "</em>"), description="What stands around a word that was found, in highlights."
    )

    @model_validator(mode="after")
    def _something_weighs(self) -> SearchSettings:
        if not self.vector_weight + self.keyword_weight:
            raise ValueError("vector_weight and keyword_weight must not both be 0")
        return self


class Settings(BaseSettings):
    """Everything that can be set. Build it with :func:`load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,  # `NAME=` is how compose files and charts leave a thing unset
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    engine: EngineSettings = EngineSettings()
    index: IndexSettings = IndexSettings()
    model: ModelSettings = ModelSettings()
    broker: BrokerSettings = BrokerSettings()
    ingest: IngestSettings = IngestSettings()
    sources: SourceSettings = SourceSettings()
    thumbnails: ThumbnailSettings = ThumbnailSettings()
    search: SearchSettings = SearchSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then variables, then the TOML file; no dotenv and no secrets folder."""
        path = settings_file()
        toml = (TomlConfigSettingsSource(settings_cls, path),) if path else ()
        return (init_settings, env_settings, *toml)


def settings_file() -> Path | None:
    """The TOML file in force, if any.

    Raises:
        ConfigError: ``VIDSEARCH_CONFIG`` names a file that is not there.
    """
    named = os.environ.get(_CONFIG_VARIABLE)
    if named:
        path = Path(named)
        if not path.is_file():
            raise ConfigError(f"{_CONFIG_VARIABLE} names {named!r}, but there is no such file")
        return path
    default = Path(_DEFAULT_FILE)
    return default if default.is_file() else None


def load_settings(**overrides: Any) -> Settings:
    """Read and check all settings.

    Args:
        overrides: sections or parts of them, which win over everything else:
            ``load_settings(engine={"url": …})``.

    Raises:
        ConfigError: a value is out of range, or a name is unknown; the message names each.
    """
    _refuse_unknown_variables(os.environ)
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise ConfigError(_explain(error)) from error
    except ValueError as error:  # a TOML file that does not parse, or a variable that is no JSON
        no_json = ", ".join(_lists_that_are_no_json(os.environ))
        reason = f'{no_json} must be a JSON list, such as \'["a", "b"]\'' if no_json else error
        raise ConfigError(f"settings cannot be read: {reason}") from error


def redact_url(url: str) -> str:
    """The URL with its password masked, for messages and logs.

    A user without a password is masked, too: some services take a token in that place. A broker
    can have several URLs, separated by ``;``.
    """
    return ";".join(_redact_one(one) for one in _NEXT_URL.split(url))


def _redact_one(url: str) -> str:
    # Up to the last @, wherever it stands: a password may hold a slash that is not encoded.
    scheme, slashes, rest = url.partition("://")
    if not slashes:
        scheme, rest = "", url
    user, found, host = rest.rpartition("@")
    if not found:
        return url
    name, has_password, _ = user.partition(":")
    shown = f"{name}:***" if has_password else "***"
    return f"{scheme}{slashes}{shown}@{host}"


def setting_paths() -> Iterator[tuple[str, str, Any]]:
    """Every setting as ``(section, name, FieldInfo)``, in order of declaration."""
    for section, info in Settings.model_fields.items():
        model = info.annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        for name, field in model.model_fields.items():
            yield section, name, field


def variable_name(section: str, name: str) -> str:
    """The environment variable of a setting."""
    return f"{_PREFIX}{section}__{name}".upper()


def _refuse_unknown_variables(environ: Mapping[str, str]) -> None:
    # pydantic-settings passes over variables that match no field, so a typing error would
    # silently leave the default in force.
    known = {variable_name(section, name) for section, name, _ in setting_paths()}
    known |= {f"{_PREFIX}{section}".upper() for section in Settings.model_fields}
    known.add(_CONFIG_VARIABLE)
    unknown = sorted(v for v in environ if v.upper().startswith(_PREFIX) and v.upper() not in known)
    if unknown:
        import difflib

        hints = []
        for variable in unknown:
            close = difflib.get_close_matches(variable.upper(), sorted(known), n=1)
            hints.append(f"{variable} (did you mean {close[0]}?)" if close else variable)
        raise ConfigError(
            f"unknown setting: {', '.join(hints)}. `vidsearch settings` lists the known ones."
        )


def _lists_that_are_no_json(environ: Mapping[str, str]) -> Iterator[str]:
    import json

    lists = {variable_name(a, b) for a, b, info in setting_paths() if type(info.default) is tuple}
    for variable, value in environ.items():
        if value and variable.upper() in lists:
            try:
                json.loads(value)
            except ValueError:
                yield variable


def _explain(error: ValidationError) -> str:
    lines = []
    for item in error.errors(include_url=False, include_input=False):
        name = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            lines.append(f"unknown setting {name}. `vidsearch settings` lists the known ones.")
        else:
            lines.append(f"setting {name}: {item['msg'].removeprefix('Value error, ')}")
    return "; ".join(lines)
