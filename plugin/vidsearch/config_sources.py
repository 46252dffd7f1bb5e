"""The sections of the settings about files: where videos come from, and where results and logs go.

See :mod:`vidsearch.config_sections`, which has the other sections.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from vidsearch.defaults import MAX_PIXELS, MAX_SECONDS

__all__ = ["EmbeddingSettings", "LogSettings", "Section", "SourceSettings", "ThumbnailSettings"]


class Section(BaseModel):
    """Base of all sections."""

    # Hidden, as a wrong value may hold a secret, and a traceback shows the message.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SourceSettings(Section):
    """Where videos may be read from, and how large they may be."""

    schemes: tuple[str, ...] = Field(
        ("file", "http", "https", "s3", "gs", "az"),
        description="Schemes of URIs that are read. A path counts as `file`.",
    )
    roots: tuple[Path, ...] = Field(
        (), description="Folders that local videos must lie in. Empty: any folder."
    )
    hosts: tuple[str, ...] = Field(
        (),
        description="Allowlist of hosts (`example.com`, `*.example.com`, `host:port`) and buckets "
        "(by their names, not by patterns) that videos are read from. Empty: any, but then clients "
        "over HTTP register no videos in buckets.",
    )
    private_hosts: tuple[str, ...] = Field(
        (),
        description="Hosts or networks (CIDR) that may be reached at private, loopback or "
        "link-local addresses, which are refused otherwise. Where `hosts` is set, a host must "
        "be in both lists.",
    )
    resolver: str | None = Field(
        None,
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$",
        description="Function of yours, as `package.module:function`, that gets a video's URI just "
        "before it is read. It returns the URI to read, or that and a dict of headers.",
    )
    headers: dict[str, dict[str, SecretStr]] = Field(
        {},
        description="Headers of requests for videos, by host as in `hosts`, such as "
        '`{"example.com": {"Authorization": "Bearer …"}}`. Without a port, the entry is for https '
        "at port 443 only; `example.com:8080` is for that port, plain http included. A redirect "
        "does not carry them.",
    )
    allow_credentials: bool = Field(
        False,
        description="Whether to register URIs with user and password "
        "(`https://user:password@host/…`). They are stored in plain text, in the registry and in "
        "the document.",
    )
    trust_validators: bool = Field(
        True,
        description="Whether to take a file for unchanged and not to fetch it, where its ETag, "
        "size and version (bucket), its strong ETag and size (http), or its inode, size and time "
        "of change (file) are the same as before.",
    )
    per_host: int = Field(
        0,
        ge=0,
        description="Maximum number of videos that all workers of one machine fetch from one host "
        "or bucket at once; others wait for their turn. 0: no limit.",
    )
    max_bytes: int = Field(10 * 2**30, ge=1, description="Maximum size of a video in bytes.")
    max_seconds: float = Field(
        MAX_SECONDS, gt=0, description="Maximum length of a video in seconds."
    )
    max_pixels: int = Field(
        MAX_PIXELS, ge=1, description="Maximum number of pixels (width × height) of a frame."
    )
    folder: Path | None = Field(
        None,
        description="Folder for temporary copies of remote videos. Unset: the system's temporary "
        "folder.",
    )


class ThumbnailSettings(Section):
    """A picture for every segment."""

    url: str | None = Field(
        None,
        repr=False,
        description="Folder or bucket (fsspec URL) that thumbnails are written to. Unset: no "
        "thumbnails.",
    )
    format: Literal["webp", "jpeg"] = Field("webp", description="File format of thumbnails.")
    size: int = Field(
        320,
        ge=16,
        le=4096,
        description="Maximum length of a thumbnail's longer side in pixels.",
    )


class EmbeddingSettings(Section):
    """The store of embeddings, by which a video is embedded once per model."""

    keep: bool = Field(
        True,
        description="Whether to keep the vectors of all sampled frames, so that no file is "
        "decoded and embedded twice with the same model.",
    )
    url: str | None = Field(
        None,
        repr=False,
        description="Folder or bucket (fsspec URL) of the store. Unset: the index "
        "`<side_prefix><name>-embeddings`.",
    )
    precision: Literal["fp16", "fp32"] = Field(
        "fp16", description="Number format of the vectors in the store."
    )


class LogSettings(Section):
    """The log of workers."""

    format: Literal["text", "json"] = Field(
        "text",
        description="Form of a worker's log lines: as Celery's settings say (`text`), or one JSON "
        "object per line with the id of the video (`json`).",
    )
