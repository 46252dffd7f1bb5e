"""Certificates made for a test."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["Authority", "self_signed"]

_NO_PASSPHRASE = serialization.NoEncryption()


class Authority:
    """A certificate authority of its own.

    Args:
        folder: where its files go; ``ca`` is the bundle to trust.
    """

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = _named(f"test {name}")
        certificate = _root(self._subject, self._key).sign(self._key, hashes.SHA256())
        self._identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(
            self._key.public_key()
        )
        self.ca = folder / f"{name}.pem"
        self.ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self, name: str, *, host: str = "127.0.0.1", days: int = 2, passphrase: str | None = None
    ) -> tuple[Path, Path]:
        """Files with a certificate and its key; negative ``days`` are over already."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(_named(name), self._subject, key, days=days)
            .add_extension(_hosts(host), critical=False)
            .add_extension(self._identifier, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        locked: serialization.KeySerializationEncryption = _NO_PASSPHRASE
        if passphrase is not None:
            locked = serialization.BestAvailableEncryption(passphrase.encode())
        return _written(self._folder / name, certificate, key, locked)


def self_signed(folder: Path, *hosts: str) -> tuple[Path, Path]:
    """Files with a certificate that nobody else signed, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _root(_named("vidsearch test"), key)
        .add_extension(_hosts(*hosts), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _written(folder / "certificate", certificate, key, _NO_PASSPHRASE)


def _root(subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> Any:
    """Of an authority, which may also serve by itself."""
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    return (
        _builder(subject, subject, key, days=2)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, days: int
) -> Any:
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=10))
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _hosts(*hosts: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_general_name(host) for host in hosts])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _written(
    path: Path,
    certificate: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    locked: serialization.KeySerializationEncryption,
) -> tuple[Path, Path]:
    paths = path.with_name(f"{path.name}.crt"), path.with_name(f"{path.name}.key")
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pkcs8 = serialization.PrivateFormat.PKCS8
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, locked))
    return paths
