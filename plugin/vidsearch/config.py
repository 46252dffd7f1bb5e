"""Settings: read once at the edge, passed inwards.

Sources, the first one wins: arguments, environment (``VIDSEARCH_ENGINE__URL``), a TOML file
(the file that ``VIDSEARCH_CONFIG`` names, else ``vidsearch.toml`` in the working folder, else that
of ``vidsearch local up`` there), defaults.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from vidsearch.config_index import IndexSettings
from vidsearch.config_search import FusionName, SearchSettings
from vidsearch.config_sections import (
    BrokerSettings,
    EngineSettings,
    IngestSettings,
    ModelSettings,
)
from vidsearch.config_sources import (
    EmbeddingSettings,
    LogSettings,
    SourceSettings,
    ThumbnailSettings,
)
from vidsearch.config_web import WebSettings
from vidsearch.defaults import KILL_SECONDS
from vidsearch.errors import ConfigError
from vidsearch_mappings.masking import masked_values

__all__ = [
    "BrokerSettings",
    "EmbeddingSettings",
    "EngineSettings",
    "FusionName",
    "IndexSettings",
    "IngestSettings",
    "LogSettings",
    "ModelSettings",
    "SearchSettings",
    "Settings",
    "SourceSettings",
    "ThumbnailSettings",
    "WebSettings",
    "load_settings",
    "redact_url",
    "setting_paths",
    "settings_file",
    "split_urls",
    "variable_name",
]

_PREFIX = "VIDSEARCH_"
_CONFIG_VARIABLE = "VIDSEARCH_CONFIG"
_SERVICE = re.compile(
    r"VIDSEARCH(_[A-Z0-9_]+)?_"
    r"(SERVICE_HOST=|SERVICE_PORT(_[A-Z0-9_]+)?=|PORT(_\d+_(TCP|UDP|SCTP))?=(tcp|udp|sctp)://"
    r"|PORT_\d+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR)=).*",
    re.DOTALL,
)
"""What Kubernetes tells each pod of a service whose name begins with ``vidsearch``, such as one of
a Helm release of that name."""
_DEFAULT_FILES = ("vidsearch.toml", ".vidsearch/vidsearch.toml")
_ODD_PORT = re.compile(r"^([^:/]*://[^/:\[]*:)(?!\d*(?:/|$)).*", re.DOTALL)
_NEXT_URL = re.compile(r";(?=[A-Za-z][A-Za-z0-9+.-]*://)")


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
    embeddings: EmbeddingSettings = EmbeddingSettings()
    search: SearchSettings = SearchSettings()
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()

    @property
    def visibility_timeout(self) -> int:
        """Seconds after which Redis delivers a message again."""
        return self.broker.visibility_timeout or 2 * (self.ingest.time_limit + KILL_SECONDS)

    @model_validator(mode="after")
    def _only_who_has_the_token_writes(self) -> Settings:
        if self.web.allow_writes and self.web.token is None:
            raise ValueError(
                "setting web.allow_writes is true, but web.token is unset: anybody who reaches the "
                "server could register videos. Set a token"
            )
        return self

    @model_validator(mode="after")
    def _tasks_end_before_they_are_visible_again(self) -> Settings:
        if "visibility_timeout" in self.broker.transport_options:
            raise ValueError(
                "setting broker.transport_options holds `visibility_timeout`: set "
                "broker.visibility_timeout instead"
            )
        if self.visibility_timeout <= self.ingest.time_limit + KILL_SECONDS:
            raise ValueError(
                f"setting broker.visibility_timeout is {self.visibility_timeout}, but must exceed "
                f"ingest.time_limit ({self.ingest.time_limit}) by more than {KILL_SECONDS}: a "
                "message would be delivered again while its worker still works"
            )
        return self

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
        toml = (_TomlFile(settings_cls, path),) if path else ()
        later = (_OneVariableEach(settings_cls), *toml)
        return (init_settings, *(_NotGivenBefore(settings_cls, source) for source in later))


class _NotGivenBefore(PydanticBaseSettingsSource):
    """What a source gives, without settings that one before it gives.

    pydantic-settings would merge values that are objects, such as headers, from all sources.
    """

    def __init__(
        self, settings_cls: type[BaseSettings], source: PydanticBaseSettingsSource
    ) -> None:
        super().__init__(settings_cls)
        self._source = source

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._source.get_field_value(field, field_name)

    def __call__(self) -> dict[str, Any]:
        given = self._source()
        for section, before in self.current_state.items():
            values = given.get(section)
            if isinstance(values, Mapping) and isinstance(before, Mapping):
                given[section] = {name: values[name] for name in values if name not in before}
        return given


class _OneVariableEach(EnvSettingsSource):
    """Lets the variable of a setting win over that of its section."""

    def prepare_field_value(
        self, field_name: str, field: FieldInfo, value: Any, value_is_complex: bool
    ) -> Any:
        alone = self.explode_env_vars(field_name, field, self.env_vars)
        whole = super().prepare_field_value(field_name, field, value, value_is_complex)
        return {**whole, **alone} if isinstance(whole, Mapping) else whole


class _TomlFile(TomlConfigSettingsSource):
    """Names the file in what is wrong with it."""

    def _read_file(self, file_path: Any) -> dict[str, Any]:
        try:
            if file_path.read_bytes().startswith(codecs.BOM_UTF8):
                raise ValueError("it begins with a byte order mark; save it as UTF-8 without BOM")
            return super()._read_file(file_path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(f"settings cannot be read from {str(file_path)!r}: {reason}") from (
                error
            )


def settings_file() -> Path | None:
    """The TOML file in force, if any.

    Raises:
        ConfigError: ``VIDSEARCH_CONFIG`` names a file that is not there, or one of the files cannot
            be looked for.
    """
    named = os.environ.get(_CONFIG_VARIABLE)
    if named:
        path = Path(named)
        if not _is_file(path):
            raise ConfigError(f"{_CONFIG_VARIABLE} names {named!r}, but there is no such file")
        return path
    return next((path for path in map(Path, _DEFAULT_FILES) if _is_file(path)), None)


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:  # such as of a folder that may not be entered
        raise ConfigError(
            f"settings cannot be looked for in {str(path)!r}: {error.strerror}. Let this user read "
            f"it, or name another file in {_CONFIG_VARIABLE}"
        ) from error


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
    except ValueError as error:  # a variable that is no JSON
        reason = "; ".join(_no_json(os.environ)) or error
        raise ConfigError(f"settings cannot be read: {reason}") from error


def redact_url(url: str) -> str:
    """The URL with its password masked, and passwords and tokens of its query, for messages and
    logs.

    A user without a password is masked, too: some services take a token in that place. A broker
    can have several URLs, separated by ``;``.
    """
    return ";".join(_redact_query(_redact_one(one)) for one in split_urls(url))


def split_urls(urls: str) -> list[str]:
    """The URLs of a broker that has several, separated by ``;``."""
    return _NEXT_URL.split(urls)


def _redact_one(url: str) -> str:
    # Up to the last @, wherever it stands: a password may hold a slash that is not encoded.
    scheme, slashes, rest = url.partition("://")
    if not slashes:
        scheme, rest = "", url
    user, found, host = rest.rpartition("@")
    if not found:
        # What stands in the place of a port and is none may be a password without its host.
        return _ODD_PORT.sub(r"\1***", url)
    name, has_password, _ = user.partition(":")
    shown = f"{name}:***" if has_password else "***"
    return f"{scheme}{slashes}{shown}@{host}"


def _redact_query(url: str) -> str:
    place, mark, query = url.partition("?")
    return f"{place}{mark}{masked_values(query)}"


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
    unknown = sorted(
        variable
        for variable, value in environ.items()
        if variable.upper().startswith(_PREFIX)
        and variable.upper() not in known
        and not _SERVICE.fullmatch(f"{variable}={value}")
    )
    if unknown:
        import difflib

        hints = []
        for variable in unknown:
            close = difflib.get_close_matches(variable.upper(), sorted(known), n=1)
            hints.append(f"{variable} (did you mean {close[0]}?)" if close else variable)
        raise ConfigError(
            f"unknown setting: {', '.join(hints)}. `vidsearch settings` lists the known ones."
        )


def _no_json(environ: Mapping[str, str]) -> Iterator[str]:
    import json

    forms: dict[type, str] = {
        tuple: 'list, such as \'["a", "b"]\'',
        dict: "object, as docs/settings.md shows it",
    }
    wanted = {
        variable_name(section, name): forms[type(info.default)]
        for section, name, info in setting_paths()
        if type(info.default) in forms
    }
    wanted |= {f"{_PREFIX}{name}".upper(): forms[dict] for name in Settings.model_fields}
    for variable, value in environ.items():
        if value and variable.upper() in wanted:
            try:
                json.loads(value)
            except ValueError:
                yield f"{variable} must be a JSON {wanted[variable.upper()]}"


def _explain(error: ValidationError) -> str:
    lines = []
    for item in error.errors(include_url=False, include_input=False):
        name = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            lines.append(f"unknown setting {name}. `vidsearch settings` lists the known ones.")
        else:
            message = item["msg"].removeprefix("Value error, ")
            lines.append(f"setting {name}: {message}" if name else message)
    return "; ".join(lines)
