"""The sections of the settings: names, types, defaults, and what each one means.

:mod:`vidsearch.config` puts them together, reads and checks them, and is where to import them from.
The descriptions are what ``vidsearch settings`` and ``docs/settings.md`` show.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from vidsearch.config_sources import Section
from vidsearch.defaults import BATCH_SIZE, BROKER_SECONDS, TIME_LIMIT
from vidsearch_mappings.types import EngineKind

__all__ = [
    "BrokerSettings",
    "EngineSettings",
    "IngestSettings",
    "ModelSettings",
]

_BLANK = re.compile(r"\s")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")


class EngineSettings(Section):
    """The cluster that holds the videos."""

    url: str = Field("http://localhost:9200", description="URL of the cluster.")
    kind: Literal["auto", EngineKind] = Field(
        "auto", description="Search engine of the cluster. `auto` asks the cluster."
    )
    api_key: SecretStr | None = Field(
        None, description="API key in its base64 form. Elasticsearch only."
    )
    username: str | None = Field(None, description="User name for basic authentication.")
    password: SecretStr | None = Field(None, description="Password for basic authentication.")
    ca_certs: Path | None = Field(
        None,
        description="Path of the CA bundle (PEM) that verifies the cluster's certificate. "
        "Unset: the public authorities.",
    )
    verify_certs: bool = Field(True, description="Whether to verify the cluster's TLS certificate.")
    client_cert: Path | None = Field(
        None,
        description="Path of the client certificate (PEM) for mutual TLS. The file may hold the "
        "key as well.",
    )
    client_key: Path | None = Field(
        None, description="Path of the client certificate's key (PEM, without a passphrase)."
    )
    aws_region: str | None = Field(
        None,
        min_length=1,
        description="AWS region of an OpenSearch domain. Set: requests are signed (SigV4, extra "
        "`aws`).",
    )
    aws_service: Literal["es", "aoss"] = Field(
        "es",
        description="AWS service that requests are signed for: `es` (OpenSearch Service) or `aoss` "
        "(OpenSearch Serverless).",
    )
    timeout: float = Field(
        30.0, gt=0, description="Number of seconds to wait for the cluster's answer to a request."
    )

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


class ModelSettings(Section):
    """The encoder."""

    name: str = Field(
        "Searchium-ai/clip4clip-webvid150k",
        description="Model: hub id or folder of a CLIP or SigLIP checkpoint, folder of an ONNX "
        "export, or `demo`, the tiny checkpoint that is shipped for trying out.",
    )
    revision: str | None = Field(
        None,
        description="Revision of the hub checkpoint (commit, tag or branch). Unset: the default "
        "branch.",
    )
    others: tuple[str, ...] = Field(
        (),
        description="Models besides `name` whose vectors an index may hold while the model is "
        "changed: folders of checkpoints or of ONNX exports, or encoders of your own as "
        "`package.module:Name`. A hub id is found by the index and need not be named.",
    )
    encoder: str = Field(
        "auto",
        min_length=1,
        description="Encoder that runs the model: `torch`, `onnx` (a folder made by `vidsearch "
        "model export`), `auto` (chosen by what `name` holds), or your own as "
        "`package.module:Name`.",
    )
    device: str = Field(
        "auto",
        description="Torch device: `cpu`, `cuda`, `mps`, … `auto` takes `cuda` where torch finds "
        "such a device, else `cpu`.",
    )
    precision: Literal["auto", "fp32", "bf16", "int8"] = Field(
        "auto",
        description="Number format that the model computes in. With torch: of frames only; `auto` "
        "takes `bf16` where the hardware has it, else `fp32`. With an ONNX export: `fp32` (also "
        "`auto`) or `int8`.",
    )
    batch_size: int = Field(BATCH_SIZE, ge=1, description="Number of frames per forward pass.")
    threads: int = Field(
        1, ge=1, description="Number of threads that the model computes with, per process."
    )
    offline: bool = Field(
        False, description="Whether to use only what is on this machine and never ask the hub."
    )
    token: SecretStr | None = Field(None, description="Access token of the model hub.")


class BrokerSettings(Section):
    """Celery's broker."""

    url: SecretStr = Field(
        SecretStr("redis://localhost:6379/0"), description="URL of Celery's broker."
    )
    queue: str = Field(
        "vidsearch",
        min_length=1,
        description="Name of the queue of the ingestion tasks. Videos of bulk imports wait in "
        "`<queue>-bulk`, the sweep in `<queue>-maintenance`; a worker that takes from the first "
        "takes from these two as well.",
    )
    timeout: float = Field(
        BROKER_SECONDS,
        gt=0,
        description="Number of seconds to try to send a message. Where the broker is away, the "
        "sweep sends it later.",
    )
    visibility_timeout: int | None = Field(
        None,
        ge=1,
        description="Number of seconds after which Redis delivers a message again that no worker "
        "has acknowledged. Must be above `ingest.time_limit` by more than a minute. Unset: twice "
        "`ingest.time_limit`.",
    )
    transport_options: dict[str, Any] = Field(
        {},
        repr=False,
        description="Options of Celery's transport (`broker_transport_options`) as JSON, such as "
        '`{"master_name": "…"}` of Sentinel or `{"global_keyprefix": "…"}`; the same for all '
        "workers and senders. See docs/broker.md.",
    )


class IngestSettings(Section):
    """What a worker does with a registered video."""

    fps: float = Field(
        1.0, gt=0, le=60, description="Number of frames sampled per second of video."
    )
    sampling: Literal["played-at", "notebook"] = Field(
        "played-at",
        description="Which frames are sampled: the one on display at each instant, as a player "
        "shows it (`played-at`), or the frame numbers that the CLIP4Clip notebook takes, in the "
        "size that is stored, even where pixels are not square (`notebook`).",
    )
    decoder: Literal["pyav", "opencv"] = Field(
        "pyav",
        description="Decoder. `pyav` decodes only what the sampled frames depend on, `opencv` "
        "every frame.",
    )
    decoder_threads: int = Field(
        1,
        ge=1,
        description="Number of decoding threads per worker process. `pyav` decodes H.264 and "
        "MPEG-4 with one: with several, FFmpeg loses marks of damaged frames.",
    )
    max_damaged: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Maximum share of a video's sampled frames that may be damaged or missing, "
        "from 0 to 1. Beyond it the video fails.",
    )
    isolate: bool = Field(
        True,
        description="Whether to decode in a child process, so that a codec that crashes or hangs "
        "costs one video and not the worker.",
    )
    stall_seconds: float = Field(
        60.0,
        gt=0,
        description="Number of seconds without progress after which the decoding process is "
        "stopped and the video fails.",
    )
    decode_megabytes: int = Field(
        4096,
        ge=1024,
        description="Maximum address space of the decoding process in MiB. Linux only.",
    )
    subtitles: bool = Field(
        True,
        description="Whether to read subtitle tracks, and `.srt` and `.vtt` files beside a video.",
    )
    subtitle_languages: tuple[str, ...] = Field(
        (),
        description="Preferred languages of subtitles, best first, as BCP 47 or ISO 639 codes "
        "(`en`, `pt-BR`, `ger`). Where there are none of these, subtitles without a language are "
        "taken, then others. Empty: a file without a language, then the first by its code; of the "
        "tracks, the one that the video marks as default.",
    )
    slice_seconds: float = Field(
        600.0,
        ge=0,
        description="Length of the slices, in seconds, in which workers embed long videos at once; "
        "see docs/embeddings.md. 0: no slices.",
    )
    lease_seconds: float = Field(
        120.0,
        ge=1,
        description="Number of seconds that a worker holds a video without renewing its lease. "
        "After that the sweep requeues the video.",
    )
    time_limit: int = Field(
        TIME_LIMIT,
        ge=10,
        description="Number of seconds after which a worker gives up an attempt at a video or a "
        "slice; a minute later its process is killed. Celery enforces it in the pool `prefork` "
        "only.",
    )
    max_attempts: int = Field(
        3, ge=1, description="Maximum number of attempts at a video, before its state is `dead`."
    )
    retry_seconds: float = Field(
        5.0,
        gt=0,
        description="Number of seconds before the first retry. The delay doubles with each retry, "
        "up to ten minutes, and is cut by a random part of up to half of it (jitter).",
    )
    give_up_after: float = Field(
        3 * 86400.0,
        gt=0,
        description="Number of seconds for which a video is tried again whose source, or whatever "
        "else it needs, does not answer. After that its state is `dead`.",
    )
    sweep_seconds: float = Field(
        5.0,
        gt=0,
        description="Number of seconds between two sweeps, which the workers do by themselves. A "
        "sweep requeues what was lost, and sends the messages of retries that are due.",
    )
    max_queued: int = Field(
        10_000,
        ge=1,
        description="Maximum number of messages in the broker; those of `interactive` videos, "
        "which go first, are counted by themselves. Further videos stay `registered`, and the "
        "sweep sends their messages in order as room comes.",
    )
    scan_seconds: float = Field(
        20.0,
        ge=0,
        description="Number of seconds between two scans of an attached index, which the "
        "workers do. 0: no scans.",
    )

    @field_validator("subtitle_languages")
    @classmethod
    def _are_codes(cls, languages: tuple[str, ...]) -> tuple[str, ...]:
        for language in languages:
            if not _LANGUAGE.fullmatch(language):
                raise ValueError(f"{language!r} is no code of a language, such as en or pt-BR")
        return languages


FusionName = Literal["rrf", "linear", "sum", "native", "native_rrf"]
"""Fusions that have a name; see :func:`vidsearch.search.native.choose`."""
