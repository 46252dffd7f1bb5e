"""``VIDSEARCH`` in a project's ``settings.py``: the settings of vidsearch, and the Celery app."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from pydantic import SecretStr

from vidsearch.config import load_settings, variable_name
from vidsearch.contrib.django.broker import broker_section
from vidsearch.dotted import imported_object, is_dotted
from vidsearch.errors import ConfigError
from vidsearch.json_values import to_json_value
from vidsearch_tasks import Services, configure, current_services
from vidsearch_tasks.broker_url import broker_url
from vidsearch_tasks.configured import configured_in

if TYPE_CHECKING:
    from celery import Celery

    from vidsearch.config import Settings

__all__ = [
    "as_environment",
    "configure_anew",
    "configure_from_django",
    "load_django_settings",
]

_NAME = "VIDSEARCH"
_APP = "celery_app"


def configure_from_django() -> Services:
    """Give vidsearch the project's settings, and its Celery app where ``celery_app`` names one.

    Raises:
        ConfigError: a setting is out of range or unknown, or there is no such Celery app.
    """
    return configure(load_django_settings(), app=_celery_app())


def configure_anew(*, setting: str, **_: Any) -> None:
    """Receiver of ``setting_changed``, which ``override_settings`` sends in tests.

    Services that others have configured stay, such as those of ``videos_in_process``.

    Raises:
        ConfigError: see :func:`configure_from_django`.
    """
    if setting == _NAME and configured_in() == __name__:
        before = current_services()
        configure_from_django()
        before.close()


def load_django_settings() -> Settings:
    """The settings of vidsearch; what ``VIDSEARCH`` lacks is read from environment and TOML file.

    Raises:
        ConfigError: see :func:`configure_from_django`.
    """
    sections = _sections()
    try:
        return load_settings(**sections)
    except ConfigError as error:
        raise ConfigError(f"{_NAME} in your settings.py, or the environment: {error}") from error


def as_environment() -> dict[str, str]:
    """``VIDSEARCH`` as environment variables, for the command line of vidsearch.

    The command line sends over the broker of the project's Celery app and with its transport
    options, unless ``VIDSEARCH`` names another broker; options of its own go before those.

    Raises:
        ConfigError: see :func:`~vidsearch.contrib.django.broker.broker_section`.
    """
    sections = _sections()
    own = sections.get("broker", {})
    url, options = _revealed(own.get("url")), own.get("transport_options") or {}
    if (app := _celery_app()) is not None and url in (None, broker_url(app)):
        of_app = broker_section(app, own_tls=isinstance(options, Mapping) and "ssl" in options)
        if isinstance(options, Mapping):  # else it is refused later, with its name
            options = {**of_app.get("transport_options", {}), **options} or None
        sections["broker"] = {**own, **of_app, "transport_options": options}
    plain = {
        variable_name(section, name): to_json_value(_revealed(value))
        for section, values in sections.items()
        for name, value in values.items()
        if value is not None
    }
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in plain.items()
    }


def _revealed(value: Any) -> Any:
    """With the secrets inside, whose text would be asterisks."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Mapping):
        return {key: _revealed(each) for key, each in value.items()}
    return [_revealed(each) for each in value] if isinstance(value, (list, tuple)) else value


def _sections() -> dict[str, Mapping[str, Any]]:
    given: Any = getattr(django_settings, _NAME, {})
    if not isinstance(given, Mapping) or not all(
        isinstance(values, Mapping) for name, values in given.items() if name != _APP
    ):
        raise ConfigError(
            f"{_NAME} in your settings.py must be a dict of sections, such as "
            f'{_NAME} = {{"engine": {{"url": "http://localhost:9200"}}, "{_APP}": '
            '"project.celery:app"}; docs/settings.md lists the sections and their names'
        )
    return {name: values for name, values in given.items() if name != _APP}


def _celery_app() -> Celery | None:
    name: Any = getattr(django_settings, _NAME, {}).get(_APP)
    if name is None:
        return None
    where = f'{_NAME}["{_APP}"] is {name!r}, but'
    if not isinstance(name, str) or not is_dotted(name):
        raise ConfigError(f'{where} must have the form "package.module:name"')
    from celery import Celery

    found = imported_object(name, where)
    if not isinstance(found, Celery):
        raise ConfigError(f"{where} that is no Celery app: {type(found).__name__}")
    return found
