"""The Helm chart: its values, and what helm makes of it (``make chart``) in ``tests/data/helm``."""

from __future__ import annotations

import importlib.util
import json
import re
import runpy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from prometheus_client import generate_latest
from tests.docs_pages import PAGES, ROOT, blocks
from tests.programs import unavailable
from tests.quoted_commands import refusal_of
from tests.status_stage import now, put, services, worker  # noqa: F401

from vidsearch import __version__
from vidsearch.config import load_settings, setting_paths, variable_name

Json = dict[str, Any]

CHART = ROOT / "deploy/helm/vidsearch"
SCRIPT = runpy.run_path(str(ROOT / "scripts/render_chart.py"))
SETS: dict[str, Path] = SCRIPT["sets_of_values"]()
SCHEMA = json.loads((CHART / "values.schema.json").read_text("utf-8"))
VALUES = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
VARIABLES = {variable_name(section, name) for section, name, _ in setting_paths()}
_COMPONENT = "app.kubernetes.io/component"

each_set = pytest.mark.parametrize("name", SETS)


def rendered(name: str) -> list[Json]:
    """The manifests that a set of values gives."""
    text = (SCRIPT["RENDERED"] / f"{name}.yaml").read_text("utf-8")
    return [each for each in yaml.safe_load_all(text) if each]


def of_kind(name: str, kind: str) -> dict[str, Json]:
    """By what they are for: worker, page, …"""
    found = [each for each in rendered(name) if each["kind"] == kind]
    return {each["metadata"]["labels"][_COMPONENT]: each for each in found}


def pods(name: str) -> Iterator[Json]:
    for kind in ("Deployment", "Job"):
        for each in of_kind(name, kind).values():
            yield each["spec"]["template"]


def containers(name: str) -> Iterator[Json]:
    for pod in pods(name):
        yield from pod["spec"]["containers"]


def variables_of(pod: Json) -> dict[str, str]:
    (container,) = pod["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"]}


# -- values


def test_the_version_of_the_app_is_that_of_the_package() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert chart["appVersion"] == __version__
    pushed = re.findall(r"docker push (\S+)", PAGES["docs/deployment.md"])
    (example,) = blocks("docs/deployment.md", "yaml")
    repository = yaml.safe_load(example)["image"]["repository"]
    assert pushed == [f"{repository}:{__version__}"], "what the pods of the docs' values ask for"


def test_values_follow_the_schema_and_the_schema_knows_all_of_them() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(VALUES, SCHEMA, jsonschema.Draft7Validator)
    free = {"global", "nameOverride"}
    assert set(SCHEMA["properties"]) - free == set(VALUES)
    for name, properties in SCHEMA["properties"].items():
        if "properties" in properties:
            assert set(properties["properties"]) == set(VALUES[name]), name


@each_set
def test_sets_of_values_follow_the_schema(name: str) -> None:
    jsonschema.validate(_without_nulls(yaml.safe_load(SETS[name].read_text("utf-8"))), SCHEMA)


def _without_nulls(values: Any) -> Any:
    """As helm checks them: null takes a value of the chart away."""
    if not isinstance(values, dict):
        return values
    return {name: _without_nulls(each) for name, each in values.items() if each is not None}


def test_values_of_the_docs_follow_the_schema() -> None:
    (text,) = blocks("docs/deployment.md", "yaml")
    jsonschema.validate(yaml.safe_load(text), SCHEMA)
    named = set(re.findall(rf"`((?:{'|'.join(VALUES)})\.\w+)`", PAGES["docs/deployment.md"]))
    assert named
    for path in named:
        section, name = path.split(".")
        assert name in VALUES[section], path


@pytest.mark.parametrize(
    "wrong",
    [
        {"worker": {"replica": 2}},
        {"keda": {"maxReplicas": "many"}},
        {"settings": {"engine": {"api_key": "abc"}}},
        {"settings": {"broker": {"url": "redis://:secret@redis:6379/0"}}},
        {"settings": {"engine": {"url": "https://elastic:secret@search.example:9200"}}},
        {"settings": {"sources": {"headers": {"example.com": {"Authorization": "Bearer abc"}}}}},
        {"page": {"settings": {"web": {"token": "abc"}}}},
        {"page": {"ingress": {"enabled": True}}},
    ],
    ids=json.dumps,
)
def test_wrong_values_and_secrets_among_them_are_refused(wrong: Json) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, SCHEMA)


@pytest.mark.parametrize(
    "options", [{"sentinel_kwargs": {"password": "abc"}}, {"queues": [{"secret_key": "abc"}]}]
)
def test_a_secret_inside_a_setting_is_refused_with_where_to_put_it(options: Json) -> None:
    plain = {"master_name": "main", "sentinel_kwargs": {"socket_timeout": 1}}
    jsonschema.validate({"settings": {"broker": {"transport_options": plain}}}, SCHEMA)
    wrong = {"settings": {"broker": {"transport_options": plain | options}}}
    with pytest.raises(jsonschema.ValidationError) as refused:
        jsonschema.validate(wrong, SCHEMA)
    variable = variable_name("broker", "transport_options")
    assert f"into the Secret of existingSecret under {variable}," in refused.value.message
    assert variable in VARIABLES


# -- what helm makes of it


@each_set
def test_what_is_rendered_is_of_this_chart(name: str) -> None:
    first, *_ = (SCRIPT["RENDERED"] / f"{name}.yaml").read_text("utf-8").splitlines()
    assert first.endswith(SCRIPT["digest"]()), "run `make chart` where helm is installed"


@pytest.mark.skipif(shutil.which("helm") is None, reason="there is no helm here")
@each_set
def test_helm_renders_what_is_kept(name: str) -> None:
    kept = (SCRIPT["RENDERED"] / f"{name}.yaml").read_text("utf-8")
    assert SCRIPT["rendered"](SETS[name]) == kept


def test_parts_are_there_when_they_are_switched_on() -> None:
    assert set(of_kind("default", "Deployment")) == {"worker", "metrics"}
    assert set(of_kind("default", "Job")) == {"index"}
    assert of_kind("default", "ScaledObject") == {}
    assert set(of_kind("full", "Deployment")) == {"worker", "metrics", "beat", "page"}
    assert set(of_kind("full", "Ingress")) == {"page"}
    assert [each["kind"] for each in rendered("prometheus")] == ["Deployment", "ScaledObject"]


@each_set
def test_names_are_unique_and_selectors_match(name: str) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in rendered(name)]
    assert len(set(names)) == len(names)
    labels = [pod["metadata"]["labels"] for pod in pods(name)]
    for each in of_kind(name, "Deployment").values():
        wanted = each["spec"]["selector"]["matchLabels"].items()
        assert len([one for one in labels if wanted <= one.items()]) == 1
    for service in of_kind(name, "Service").values():
        wanted = service["spec"]["selector"].items()
        (pod,) = [one for one in pods(name) if wanted <= one["metadata"]["labels"].items()]
        ports = {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


@pytest.mark.parametrize("end", ["oldest", "newest"])
@each_set
def test_manifests_follow_the_schemas_of_kubernetes(name: str, end: str) -> None:
    if importlib.util.find_spec("kubernetes_validate") is None:
        unavailable("kubernetes-validate is missing")
    known = importlib.import_module("kubernetes_validate")
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    (oldest,) = re.findall(r"^>=(\d+\.\d+)\.", chart["kubeVersion"])
    version = oldest if end == "oldest" else known.latest_version()
    for manifest in rendered(name):
        group = manifest["apiVersion"].partition("/")[0]
        if group not in {"keda.sh", "monitoring.coreos.com"}:  # these bring schemas of their own
            known.validate(manifest, version, strict=True)


@each_set
def test_containers_run_commands_that_there_are(name: str) -> None:
    from celery.bin.celery import celery

    for container in containers(name):
        words = container["args"]
        if words[0] == "celery":
            known = {each for option in celery.commands[words[3]].params for each in option.opts}
            options = {word.partition("=")[0] for word in words[4:] if word.startswith("-")}
            assert options <= known
        elif words[0] == "vidsearch":
            assert refusal_of(" ".join(words)) is None
        else:
            calls = re.findall(r"vidsearch [a-z -]+", words[0])
            assert len(calls) == 3
            assert [refusal_of(call.strip()) for call in calls] == [None] * 3


@each_set
def test_variables_are_settings_with_values_that_load(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for container in containers(name):
        given = {each["name"]: each["value"] for each in container["env"]}
        ours = {each for each in given if each.startswith("VIDSEARCH_")}
        assert ours
        assert ours <= VARIABLES
        with monkeypatch.context() as environment:
            for variable in ours:
                environment.setenv(variable, given[variable])
            settings = load_settings()
        assert settings.engine.url == "https://search.example:9200"
        if name == "full":
            assert settings.index.segment_seconds == 7.5
            assert settings.ingest.max_queued == 5000
            assert settings.sources.schemes == ("https", "s3")
            assert settings.embeddings.keep is False


@each_set
def test_secrets_come_from_the_secret_alone(name: str) -> None:
    for container in containers(name):
        own = (name, container["name"]) == ("full", "page")
        secret = "vidsearch-page" if own else "vidsearch"
        assert container["envFrom"] == [{"secretRef": {"name": secret}}]
    assert not [each for each in rendered(name) if each["kind"] == "Secret"]


def test_page_has_variables_of_its_own_in_place_of_those_of_all_pods() -> None:
    regions = {
        pod["metadata"]["labels"][_COMPONENT]: variables_of(pod)["AWS_REGION"]
        for pod in pods("full")
    }
    assert regions.pop("page") == "eu-west-1"
    assert set(regions.values()) == {"eu-central-1"}


@each_set
def test_pods_have_no_rights_that_they_do_not_need(name: str) -> None:
    for pod in pods(name):
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["automountServiceAccountToken"] is False
        for container in pod["spec"]["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert "/tmp" in {each["mountPath"] for each in container["volumeMounts"]}
            mounted = {each["name"] for each in container["volumeMounts"]}
            assert mounted == {each["name"] for each in pod["spec"]["volumes"]}


@pytest.mark.parametrize(
    ("name", "trigger"), [("full", "metrics-api"), ("prometheus", "prometheus")]
)
def test_workers_are_scaled_by_what_the_registry_counts(
    name: str, trigger: str, request: pytest.FixtureRequest
) -> None:
    from vidsearch_tasks.exporter import metrics_registry

    worker_of_chart = of_kind(name, "Deployment")["worker"]
    assert "replicas" not in worker_of_chart["spec"], "KEDA decides"
    spec = of_kind(name, "ScaledObject")["worker"]["spec"]
    assert spec["scaleTargetRef"]["name"] == worker_of_chart["metadata"]["name"]
    (only,) = spec["triggers"]
    assert only["type"] == trigger
    assert all(isinstance(value, str) for value in only["metadata"].values())
    asked = only["metadata"].get("valueLocation") or only["metadata"]["query"]
    exported = generate_latest(metrics_registry(request.getfixturevalue("services"))).decode()
    assert re.search(rf"^{re.search('vidsearch_[a-z]+', asked)[0]} ", exported, re.MULTILINE)  # type: ignore[index]
    if trigger == "prometheus":
        assert only["metadata"]["ignoreNullValues"] == "false", "no number is not the number 0"
    else:
        service = of_kind(name, "Service")["metrics"]
        host = f"{service['metadata']['name']}.video.svc:{service['spec']['ports'][0]['port']}"
        assert only["metadata"]["url"] == f"http://{host}/metrics"


def test_the_job_of_the_index_needs_no_gpu_where_the_workers_have_one() -> None:
    devices = {
        pod["metadata"]["labels"][_COMPONENT]: variables_of(pod).get("VIDSEARCH_MODEL__DEVICE")
        for pod in pods("full")
    }
    assert devices["worker"] == "cuda"
    assert devices["index"] == "cpu"


def test_values_of_an_earlier_chart_are_enough() -> None:
    (scaled,) = of_kind("earlier", "ScaledObject").values()
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["metadata"]["query"] == VALUES["keda"]["prometheusQuery"]
    assert of_kind("earlier", "ServiceMonitor") == {}
    page = of_kind("earlier", "Deployment")["page"]["spec"]["template"]["spec"]
    grace = "terminationGracePeriodSeconds"
    assert page[grace] == VALUES["page"][grace]


def test_the_prometheus_operator_finds_the_service_of_the_metrics() -> None:
    assert of_kind("default", "ServiceMonitor") == {}
    monitor = of_kind("full", "ServiceMonitor")["metrics"]
    assert monitor["metadata"]["labels"]["release"] == "monitoring"
    service = of_kind("full", "Service")["metrics"]
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    assert wanted <= service["metadata"]["labels"].items()
    assert [each["port"] for each in monitor["spec"]["endpoints"]] == ["metrics"]


def test_of_several_pages_one_at_a_time_may_be_drained() -> None:
    budget = of_kind("full", "PodDisruptionBudget")["page"]["spec"]
    page = of_kind("full", "Deployment")["page"]["spec"]
    assert page["replicas"] == 2
    assert budget == {"maxUnavailable": 1, "selector": page["selector"]}


@pytest.mark.parametrize(("name", "port"), [("default", 9850), ("full", 9900)])
def test_prometheus_is_told_the_port_that_the_metrics_are_on(name: str, port: int) -> None:
    service = of_kind(name, "Service")["metrics"]
    assert service["metadata"]["annotations"] == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(port),
    }
    assert service["spec"]["ports"][0]["port"] == port


def test_the_page_answers_to_its_host_beside_those_of_the_settings() -> None:
    variables = variables_of(of_kind("full", "Deployment")["page"]["spec"]["template"])
    hosts = json.loads(variables["VIDSEARCH_WEB__ALLOWED_HOSTS"])
    (rule,) = of_kind("full", "Ingress")["page"]["spec"]["rules"]
    assert hosts == ["videos.internal", rule["host"]]


def test_the_page_ends_its_answers_before_it_goes() -> None:
    pod = of_kind("full", "Deployment")["page"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    *_, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    longest = float(seconds) + load_settings().web.timeout + 1
    assert pod["terminationGracePeriodSeconds"] > longest


def test_only_a_page_behind_an_ingress_believes_who_asks() -> None:
    variables = [{each["name"] for each in container["env"]} for container in containers("full")]
    assert sum("FORWARDED_ALLOW_IPS" in names for names in variables) == 1
    page = of_kind("full", "Deployment")["page"]["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "FORWARDED_ALLOW_IPS", "value": "*"} in page["env"]


@each_set
def test_every_container_says_what_it_needs(name: str) -> None:
    for container in containers(name):
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]


def test_workers_of_the_chart_are_scaled_by_hand_without_keda() -> None:
    assert of_kind("default", "Deployment")["worker"]["spec"]["replicas"] == 1
