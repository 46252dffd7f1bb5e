"""Credentials and certificates in the settings: what is refused, and how requests are signed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.certificates import Authority
from tests.http_stub import Asked, Reply, http_stub

from vidsearch.config import EngineSettings, load_settings
from vidsearch.engines import connect, connect_async
from vidsearch.errors import ConfigError, MissingExtraError

HTTPS = "https://localhost:9200"
WHOLE = {"count": 7, "_shards": {"failed": 0}}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No credentials anywhere, and no asking of the machine."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws-credentials"))
    return monkeypatch


def refused(**settings: Any) -> str:
    with pytest.raises(ConfigError) as raised:
        connect(EngineSettings(**settings))
    return str(raised.value)


# -- client certificates


def test_certificate_and_key_may_be_in_two_files_or_one(
    authority: Authority, tmp_path: Path
) -> None:
    certificate, key = authority.issue("client")
    both = tmp_path / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    for kind in ("elasticsearch", "opensearch"):
        for pair in ({"client_cert": certificate, "client_key": key}, {"client_cert": both}):
            connect(EngineSettings(url=HTTPS, kind=kind, **pair)).close()  # type: ignore[arg-type]


def test_certificate_and_key_that_do_not_fit_are_refused(
    authority: Authority, tmp_path: Path
) -> None:
    certificate, key = authority.issue("client")
    _, other = authority.issue("other")
    _, locked = authority.issue("locked", passphrase="hunter2")
    text = tmp_path / "text.pem"
    text.write_text("hello")
    gone = tmp_path / "gone.pem"
    for pair, said in (
        ({"client_key": key}, "engine.client_key belongs to a certificate: set engine.client_cert"),
        ({"client_cert": gone}, f"engine.client_cert: there is no file '{gone}'"),
        (
            {"client_cert": certificate, "client_key": gone},
            f"engine.client_key: there is no file '{gone}'",
        ),
        (
            {"client_cert": text, "client_key": key},
            f"engine.client_cert: '{text}' holds no certificate in PEM format",
        ),
        (
            {"client_cert": certificate, "client_key": text},
            f"engine.client_key: '{text}' holds no private key in PEM format",
        ),
        (
            {"client_cert": certificate},
            (
                f"engine.client_cert: '{certificate}' holds no private key in PEM format; "
                "set engine.client_key, or add the key to that file"
            ),
        ),
        (
            {"client_cert": certificate, "client_key": other},
            (
                f"engine.client_key: the key in '{other}' is not that of the certificate in "
                f"'{certificate}'"
            ),
        ),
        (
            {"client_cert": certificate, "client_key": locked},
            (
                f"engine.client_key: the key in '{locked}' has a passphrase; "
                "set one without (openssl pkey -in KEY -out NEW)"
            ),
        ),
        (
            {"client_cert": certificate, "client_key": key, "verify_certs": False},
            (
                "engine.client_cert is sent only where engine.verify_certs is on; "
                "set engine.ca_certs to the CA bundle that signed the cluster's certificate"
            ),
        ),
    ):
        assert refused(url=HTTPS, **pair) == said
    assert refused(client_cert=certificate, client_key=key) == (
        "engine.client_cert needs TLS: engine.url must begin with https://"
    )


def test_paths_of_certificates_come_from_variables(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = authority.issue("client")
    monkeypatch.setenv("VIDSEARCH_ENGINE__CLIENT_CERT", str(certificate))
    monkeypatch.setenv("VIDSEARCH_ENGINE__CLIENT_KEY", str(key))
    monkeypatch.setenv("VIDSEARCH_ENGINE__AWS_REGION", "eu-west-1")
    engine = load_settings().engine
    assert (engine.client_cert, engine.client_key) == (certificate, key)
    assert (engine.aws_region, engine.aws_service) == ("eu-west-1", "es")


# -- requests signed for AWS


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"kind": kind},
            "engine.aws_region is for OpenSearch; set engine.kind to opensearch",
        )
        for kind in ("auto", "elasticsearch")
    ]
    + [
        (
            {"kind": "opensearch", "username": "me", "password": "x"},
            "set engine.aws_region or engine.username, not both",
        ),
        (
            {"kind": "opensearch", "api_key": "x"},
            "set engine.aws_region or engine.api_key, not both",
        ),
    ],
)
def test_settings_that_exclude_aws_are_refused(settings: Any, said: str) -> None:
    assert refused(aws_region="eu-west-1", **settings) == said


def test_missing_aws_credentials_are_reported(aws: pytest.MonkeyPatch) -> None:
    said = refused(kind="opensearch", aws_region="eu-west-1")
    assert said.startswith("engine.aws_region: no AWS credentials were found in the environment")
    aws.setenv("AWS_PROFILE", "nobody")
    assert "AWS credentials cannot be read" in refused(kind="opensearch", aws_region="eu-west-1")


def test_missing_botocore_is_reported_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(
        MissingExtraError, match=r"engine.aws_region needs an extra: .*vidsearch\[aws\]"
    ):
        connect(EngineSettings(kind="opensearch", aws_region="eu-west-1"))


def signed_with(asked: Asked, secrets: dict[str, str], *, service: str = "es") -> str:
    """The access key of a request, after its signature was computed again from what arrived."""
    headers = {name.lower(): value for name, value in asked.headers.items()}
    scheme, _, rest = headers["authorization"].partition(" ")
    assert scheme == "AWS4-HMAC-SHA256"
    given = dict(item.strip().split("=", 1) for item in rest.split(","))
    access, _, region, of, _ = given["Credential"].split("/")
    assert (region, of) == ("eu-west-1", service)
    signed = given["SignedHeaders"].split(";")
    assert {"host", "x-amz-date", "x-amz-content-sha256"} <= set(signed)
    assert headers["x-amz-content-sha256"] == hashlib.sha256(asked.body.encode()).hexdigest()
    request = AWSRequest(
        asked.method,
        f"http://{headers['host']}{asked.path}",
        {name: headers[name] for name in signed if name != "host"},
        asked.body.encode(),
    )
    request.context["timestamp"] = headers["x-amz-date"]
    again = SigV4Auth(Credentials(access, secrets[access]), service, region)
    text = again.string_to_sign(request, again.canonical_request(request))
    assert again.signature(text, request) == given["Signature"]
    return access


def test_every_request_is_signed(aws: pytest.MonkeyPatch) -> None:
    aws.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    aws.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    aws.setenv("AWS_SESSION_TOKEN", "session")
    with http_stub(lambda _: Reply(body=WHOLE)) as stub:
        for service in ("es", "aoss"):
            settings = EngineSettings(
                url=stub.url, kind="opensearch", aws_region="eu-west-1", aws_service=service
            )
            engine = connect(settings)
            engine.count("videos", {"match": {"title": "grün"}})
            engine.search("a b", {"size": 1})  # a path with an escape, and parameters
            engine.indices_of("videos")
            engine.close()

            async def the_same(settings: EngineSettings = settings) -> None:
                twin = await connect_async(settings)
                await twin.run(twin.calls.search("a b", {"size": 1}))
                await twin.run(twin.calls.indices_of("videos"))
                await twin.close()

            asyncio.run(the_same())
            assert "hunter2" not in repr(engine)
    assert {one.method for one in stub.asked} == {"GET", "POST"}
    assert len(stub.asked) == 10
    for at, one in enumerate(stub.asked):
        signed_with(one, {"AKIDEXAMPLE": "hunter2"}, service="es" if at < 5 else "aoss")
        assert {k.lower(): v for k, v in one.headers.items()}["x-amz-security-token"] == "session"


def test_expiring_aws_credentials_are_renewed(aws: pytest.MonkeyPatch, tmp_path: Path) -> None:
    until = (datetime.now(timezone.utc) + timedelta(seconds=120)).isoformat()
    answer = tmp_path / "answer.json"

    def rotate(key: str) -> None:
        keys = {"AccessKeyId": key, "SecretAccessKey": f"secret-{key}", "SessionToken": "t"}
        answer.write_text(json.dumps({"Version": 1, **keys, "Expiration": until}))

    rotate("FIRST")
    program = tmp_path / "program.py"
    program.write_text(f"print(open({str(answer)!r}).read())")
    (tmp_path / "aws-config").write_text(
        f"[default]\ncredential_process = {sys.executable} {program}\n"
    )
    with http_stub(lambda _: Reply(body=WHOLE)) as stub:
        engine = connect(EngineSettings(url=stub.url, kind="opensearch", aws_region="eu-west-1"))
        engine.count("videos")
        rotate("SECOND")  # the first are about to run out
        engine.count("videos")
        engine.close()
    secrets = {"FIRST": "secret-FIRST", "SECOND": "secret-SECOND"}
    assert [signed_with(one, secrets) for one in stub.asked] == ["FIRST", "SECOND"]
