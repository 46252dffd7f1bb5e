"""Compose file and Dockerfile are right as far as that can be known without Docker."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml
from tests.docs_pages import EXTRAS, ROOT

from vidsearch.config import load_settings, setting_paths, variable_name

LONG_LIVED = {"elasticsearch", "opensearch", "redis", "worker", "beat", "page"}


def _substituted(text: str) -> str:
    """The text with ``${NAME:-default}`` replaced by its default, and ``$$`` by ``$``."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text).replace("$$", "$")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    text = (ROOT / "docker-compose.yml").read_text()
    return yaml.safe_load(_substituted(text))


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return compose["services"]


def test_compose_file_follows_the_schema(compose: dict[str, Any]) -> None:
    schema = json.loads((ROOT / "tests/data/compose-spec.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.Draft7Validator(schema).validate(compose)


def test_schema_refuses_a_wrong_key(compose: dict[str, Any]) -> None:
    schema = json.loads((ROOT / "tests/data/compose-spec.json").read_text())
    wrong = {**compose, "services": {"worker": {"image": "x", "healthchek": {}}}}
    with pytest.raises(jsonschema.ValidationError, match="healthchek"):
        jsonschema.Draft7Validator(schema).validate(wrong)


def test_services_are_the_whole_stack(services: dict[str, dict[str, Any]]) -> None:
    assert set(services) == LONG_LIVED
    profiles = {name: each["profiles"] for name, each in services.items() if "profiles" in each}
    assert profiles == {"opensearch": ["opensearch"], "page": ["page"]}


@pytest.mark.parametrize("name", sorted(LONG_LIVED))
def test_service_has_health_check_restart_and_memory_limit(
    name: str, services: dict[str, dict[str, Any]]
) -> None:
    service = services[name]
    assert service["healthcheck"]["test"]
    assert service["restart"] == "unless-stopped"
    assert service["mem_limit"]


def test_ports_are_bound_to_this_machine(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for each in services.values() for port in each.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    hosts = [port.split(":")[1] for port in ports]
    assert len(set(hosts)) == len(hosts)


def test_dependencies_have_health_checks(
    services: dict[str, dict[str, Any]],
) -> None:
    for name in ("worker", "beat", "page"):
        waits = services[name]["depends_on"]
        assert {"elasticsearch", "redis"} <= set(waits)
        assert {each["condition"] for each in waits.values()} == {"service_healthy"}
        optional = {each for each, rule in waits.items() if rule.get("required") is False}
        assert optional == {each for each in waits if "profiles" in services[each]}


def test_named_volumes_are_declared_and_used(compose: dict[str, Any]) -> None:
    mounts = [mount for each in compose["services"].values() for mount in each.get("volumes", [])]
    named = {mount.split(":")[0] for mount in mounts if not mount.startswith(".")}
    assert named == set(compose["volumes"])


@pytest.mark.parametrize("name", ["worker", "beat", "page"])
def test_variables_are_settings_with_values_that_load(
    name: str, services: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known = {variable_name(section, setting) for section, setting, _ in setting_paths()}
    given = {k: v for k, v in services[name]["environment"].items() if k.startswith("VIDSEARCH_")}
    assert given
    assert set(given) <= known

    monkeypatch.chdir(tmp_path)
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    settings = load_settings()
    for url in (settings.engine.url, settings.broker.url.get_secret_value()):
        assert urlsplit(url).hostname in services


def test_variables_from_outside_keep_their_names() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    pairs = re.findall(r"(VIDSEARCH_\w+): \$\{(\w+):-", text)
    assert pairs
    # The model of the page is another form of the same.
    assert {(inner, outer) for inner, outer in pairs if inner != outer} == {
        ("VIDSEARCH_MODEL__NAME", "PAGE_MODEL")
    }


def test_model_cache_and_schedule_are_on_volumes(services: dict[str, dict[str, Any]]) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    cache = re.search(r"HF_HOME=(\S+)", dockerfile)
    assert cache
    assert f"models:{cache[1]}" in services["worker"]["volumes"]
    command = services["beat"]["command"]
    schedule = command[command.index("--schedule") + 1]
    assert f"beat:{Path(schedule).parent}" in services["beat"]["volumes"]


# -- the Dockerfile


@dataclass(frozen=True)
class Stage:
    """One ``FROM`` with what follows it."""

    base: str
    lines: tuple[str, ...]

    def all(self, instruction: str) -> list[str]:
        return [each[len(instruction) + 1 :] for each in self.lines if each.startswith(instruction)]


@pytest.fixture(scope="module")
def stages() -> dict[str, Stage]:
    """The stages of the Dockerfile by name, in their order."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found: dict[str, Stage] = {}
    for line in lines:
        if line.startswith("FROM "):
            _, base, _, name = line.split()
            found[name] = Stage(base, ())
        else:
            name = [*found][-1]
            found[name] = Stage(found[name].base, (*found[name].lines, line))
    return found


def test_stages_build_on_stages_before_them_and_the_last_is_for_workers(
    stages: dict[str, Stage],
) -> None:
    names = [*stages]
    for at, stage in enumerate(stages.values()):
        copied_from = re.findall(r"^COPY --from=(\S+)", "\n".join(stage.lines), re.MULTILINE)
        assert set(copied_from) <= set(names[:at])
        assert stage.base in names[:at] or stage.base.startswith("python:3.")
    assert names[-1] == "worker"
    assert {"worker", "page"} <= set(names)


def test_targets_of_compose_are_stages(
    services: dict[str, dict[str, Any]], stages: dict[str, Stage]
) -> None:
    targets = {name: each["build"]["target"] for name, each in services.items() if "build" in each}
    assert targets == {"worker": "worker", "beat": "worker", "page": "page"}
    assert set(targets.values()) <= set(stages)


def test_images_install_extras_that_exist_and_the_page_has_no_torch(
    stages: dict[str, Stage],
) -> None:
    for stage, argument in (("build-worker", "EXTRAS"), ("build-page", "PAGE_EXTRAS")):
        (given,) = [each for each in stages[stage].all("ARG") if each.startswith(argument)]
        names = given.partition("=")[2].split(",")
        assert set(names) <= set(EXTRAS)
        (chosen,) = re.findall(r"-r pyproject\.toml \$\((.*)\)", "".join(stages[stage].lines))
        command, given_two = ["sh", "-c", chosen], {argument: "a,b-c"}
        done = subprocess.run(command, env=given_two, capture_output=True, text=True, check=True)
        assert done.stdout == "--extra a --extra b-c\n"
        brings_torch = any("torch" in each for name in names for each in EXTRAS[name])
        assert brings_torch == (stage == "build-worker")
    assert "ARG TORCH=cpu" in stages["build-worker"].lines


def test_a_change_of_the_sources_installs_no_package_anew(stages: dict[str, Stage]) -> None:
    for name in ("build-worker", "build-page"):
        lines = stages[name].lines
        packages, own = [at for at, line in enumerate(lines) if "uv pip install" in line]
        (copied,) = [at for at, line in enumerate(lines) if "--from=sources" in line]
        assert packages < copied < own
        assert "--no-deps" in lines[own]
        assert "UV_COMPILE_BYTECODE=1" in "".join(stages[stages[name].base].all("ENV"))


def test_modules_of_python_itself_are_compiled_while_root_may_write(
    stages: dict[str, Stage],
) -> None:
    lines = stages["runtime"].lines
    (at,) = [at for at, line in enumerate(lines) if "compileall" in line]
    assert at < lines.index("USER 10001")
    # What it names is the folder that these modules are in.
    (folder,) = re.findall(r'"\$\((python -c .*)\)"$', lines[at])
    command = ["sh", "-c", folder.replace("python", sys.executable, 1)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == Path(subprocess.__file__).parent


def test_the_page_may_end_its_answers(services: dict[str, dict[str, Any]]) -> None:
    seconds = int(services["page"]["stop_grace_period"].removesuffix("s"))
    assert seconds > load_settings().web.timeout + 1


def test_workers_begin_with_one_thread(stages: dict[str, Stage]) -> None:
    assert "OMP_NUM_THREADS=1" in stages["worker"].all("ENV")


def test_images_run_without_root(stages: dict[str, Stage]) -> None:
    for name in ("worker", "page"):
        assert stages[name].base == "runtime"
        assert not stages[name].all("USER")
    assert stages["runtime"].all("USER") == ["10001"]


def test_what_is_copied_into_images_exists_and_is_not_ignored(stages: dict[str, Stage]) -> None:
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [
        word
        for stage in stages.values()
        for line in stage.all("COPY")
        if "--from" not in line
        for word in line.split()[:-1]
    ]
    assert {"plugin", "tasks", "mappings", "pyproject.toml"} <= set(copied)
    for source in copied:
        assert (ROOT / source).exists()
        assert f"!{source}" in allowed
