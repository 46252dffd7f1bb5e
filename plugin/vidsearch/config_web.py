"""The section of the settings about the search page, the HTTP API and the MCP server.

See :mod:`vidsearch.config_sections`, which has the other sections.
"""

from __future__ import annotations

import re

from pydantic import Field, SecretStr, field_validator

from vidsearch.config_sources import Section

__all__ = ["WebSettings"]

_HOST = re.compile(r"\*|(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\]")
_ORIGIN = re.compile(r"https?://(\*\.)?[A-Za-z0-9_.-]+(:\d+)?")
_ROOT_PATH = re.compile(r"(/[A-Za-z0-9_~.-]*[A-Za-z0-9_~-])+")
_OWN_PATHS = frozenset(
    {
        *("admin", "api", "healthz", "login", "logout", "mcp", "metrics"),
        *("picture", "readyz", "static", "thumbnail", "video"),
    }
)
"""First parts of the paths that are served, with which none of a proxy may begin: whether the proxy
has taken it off could not be told."""
_TOKEN = re.compile(r"[!-~]{16,}")


class WebSettings(Section):
    """The search page and the HTTP API (`vidsearch web`), and the MCP server (`vidsearch mcp`)."""

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen at.")
    port: int = Field(8800, ge=1, le=65_535, description="Number of the port to listen at.")
    root_path: str = Field(
        "",
        description="Path below which a proxy serves the page, such as `/videos`; links begin with "
        "it. The proxy may take it off or leave it. For `vidsearch web` and `vidsearch mcp`.",
    )
    token: SecretStr | None = Field(
        None,
        description="Token, of at least 16 characters, that every request must bring, as "
        "`Authorization: Bearer …` or by signing in. Unset: anybody who reaches the port may "
        "search.",
    )
    allowed_hosts: tuple[str, ...] = Field(
        ("localhost", "127.0.0.1", "[::1]"),
        description="Names that requests may call the server by (`Host`), without a port: "
        "`videos.example.com`, `*.example.com`. `*` allows all. Others are refused, as a page of "
        "another site could otherwise reach a server of an inner network.",
    )
    allow_writes: bool = Field(
        False,
        description="Whether to let clients register videos, and ingest them again. Needs `token`.",
    )
    max_upload_bytes: int = Field(
        10 * 1024 * 1024,
        ge=1024,
        description="Maximum number of bytes of a request's body, an uploaded image included. The "
        "bodies of all requests at once may have `max_searches` times as many.",
    )
    max_pixels: int = Field(
        4096 * 2160,
        ge=1,
        description="Maximum number of pixels (width × height) of an uploaded image. A large "
        "JPEG is decoded at a half, a quarter or an eighth of its size, and counts so; it may not "
        "have more than `sources.max_pixels`.",
    )
    max_k: int = Field(
        100,
        ge=1,
        le=10_000,
        description="Maximum `k` of a request; not above `search.window` in any case.",
    )
    max_text: int = Field(
        1000, ge=1, description="Maximum number of characters of a text that is searched for."
    )
    max_conditions: int = Field(
        50, ge=1, description="Maximum number of values and bounds in the filter of a request."
    )
    max_searches: int = Field(
        16,
        ge=1,
        description="Maximum number of searches at once. Further ones wait. By uploaded images "
        "there are two at once, beside the others.",
    )
    max_connections: int = Field(
        500,
        ge=1,
        description="Maximum number of open connections. Requests on further ones get 503, but for "
        "`/healthz`.",
    )
    timeout: float = Field(
        20.0,
        gt=0,
        allow_inf_nan=False,
        description="Number of seconds after which a search is given up, its wait included. The "
        "head of a request must arrive in the same time, and so must its body, with a second more "
        "for each 32 KiB.",
    )
    hidden_fields: tuple[str, ...] = Field(
        (),
        description="Fields of the documents that are neither shown nor filtered by. An object "
        "hides all that it holds. The URI of a video is hidden in any case. Their words are still "
        "searched: list the other fields in `search.keyword_fields`, whose default has `*`, to "
        "leave them out.",
    )
    media_origins: tuple[str, ...] = Field(
        (),
        description="Origins besides the server's own that pages may load pictures and videos "
        "from, such as `https://media.example.com`.",
    )

    @field_validator("root_path")
    @classmethod
    def _is_path(cls, path: str) -> str:
        if path and not _ROOT_PATH.fullmatch(path):
            raise ValueError("must be a path such as /videos, without a slash at its end")
        if path and path.split("/")[1] in _OWN_PATHS:
            raise ValueError(
                f"must not begin with a path that the server has itself, as {path} does; take "
                "another, such as /videos"
            )
        return path

    @field_validator("token")
    @classmethod
    def _long_enough(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and not _TOKEN.fullmatch(token.get_secret_value()):
            raise ValueError(
                "must have at least 16 characters, of ASCII and without spaces, as from "
                "`openssl rand -hex 32`"
            )
        return token

    @field_validator("allowed_hosts")
    @classmethod
    def _are_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not _HOST.fullmatch(host):
                raise ValueError(
                    f"{host!r} is no host such as videos.example.com, *.example.com or [::1]; "
                    "leave out scheme and port"
                )
        return hosts

    @field_validator("hidden_fields")
    @classmethod
    def _are_fields(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if "*" in name or any(part != part.strip() or not part for part in name.split(".")):
                raise ValueError(
                    f"{name!r} would hide nothing: name a field or an object, without `*`; "
                    "`secret` hides all below it"
                )
        return names

    @field_validator("media_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is no origin such as https://media.example.com")
        return origins
