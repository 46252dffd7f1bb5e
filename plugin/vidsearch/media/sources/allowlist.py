"""Which hosts, buckets and addresses the settings let videos come from."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from vidsearch.config import SourceSettings
from vidsearch.errors import ConfigError, SourceForbiddenError
from vidsearch.media.sources.uris import normal_host

__all__ = ["Allowlist", "HostPattern", "host_pattern", "is_public"]

_log = logging.getLogger(__name__)

Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"
Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"

# What some versions of Python or the registries themselves call public, and is not.
_INNER_4 = (
    ipaddress.ip_network("192.0.0.0/24"),  # protocol assignments; a metadata service at Oracle
    ipaddress.ip_network("192.88.99.0/24"),  # relays of 6to4, given up
    ipaddress.ip_network("168.63.129.16/32"),  # Azure's agent of the virtual machine
)
_GLOBAL_6 = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_TEREDO = ipaddress.ip_network("2001::/32")


def is_public(address: Address) -> bool:
    """Whether the address belongs to the public internet, and so to no inner network.

    An IPv6 address that carries an IPv4 address (mapped, 6to4, NAT64) is as public as that one.
    All that is not known to be public is not: CGNAT, Teredo, site-local, documentation, ….
    """
    if isinstance(address, ipaddress.IPv4Address):
        return (
            address.is_global
            and not address.is_multicast
            and not address.is_reserved
            and not any(address in network for network in _INNER_4)
        )
    inner = address.ipv4_mapped or address.sixtofour
    if address in _NAT64:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    if inner is not None:
        return is_public(inner)
    return address in _GLOBAL_6 and address not in _TEREDO and address.is_global


@dataclass(frozen=True, slots=True)
class HostPattern:
    """An entry of a list of hosts: ``example.com``, ``*.example.com``, ``host:8443``, ``[::1]``."""

    host: str
    below: bool
    port: int | None

    @classmethod
    def parse(cls, entry: str) -> HostPattern:
        host, port = entry, ""
        if entry.startswith("["):
            host, closed, port = entry[1:].partition("]")
            if not closed or (port and not port.startswith(":")):
                raise ValueError("brackets that do not close")
            port = port.removeprefix(":")
        elif entry.count(":") == 1:
            host, _, port = entry.partition(":")
        below = host.startswith("*.")
        number = int(port) if port else None
        return cls(normal_host(host.removeprefix("*.")), below, number)

    def covers(self, host: str, port: int | None) -> bool:
        if self.port is not None and port != self.port:
            return False
        return host.endswith(f".{self.host}") if self.below else host == self.host


class Allowlist:
    """The lists ``hosts`` and ``private_hosts`` of the settings, ready for use.

    Raises:
        ConfigError: an entry is neither a host nor a network.
    """

    def __init__(self, settings: SourceSettings) -> None:
        self._hosts = [host_pattern("hosts", entry) for entry in settings.hosts]
        self._private_names: list[HostPattern] = []
        self._private_networks: list[Network] = []
        for entry in settings.private_hosts:
            try:
                self._private_networks.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                self._private_names.append(host_pattern("private_hosts", entry))

    def require_listed(self, host: str, *, port: int, where: str) -> None:
        """Refuse a host that ``hosts`` does not list.

        Raises:
            SourceForbiddenError: it is not listed, and the list is not empty.
        """
        if self._hosts and not any(name.covers(host, port) for name in self._hosts):
            raise SourceForbiddenError(
                f"{where} may not be read: {host!r} is not in sources.hosts; add it there if "
                "videos may come from it"
            )

    def require_bucket(self, bucket: str, *, where: str, needed: bool = False) -> None:
        """Refuse a bucket that ``hosts`` does not name.

        Patterns count for hosts only: anybody may make a bucket ``x.example.com``.

        Args:
            bucket: its name.
            where: the URI as messages show it.
            needed: whether it must be named also where the list is empty.

        Raises:
            SourceForbiddenError: it is not named.
        """
        named = any(not each.below and each.covers(bucket, None) for each in self._hosts)
        if (self._hosts or needed) and not named:
            raise SourceForbiddenError(
                f"{where} may not be read: sources.hosts does not name the bucket {bucket!r}; add "
                "its name there, not a pattern, if videos may come from it"
            )

    def require_reachable(
        self, host: str, *, port: int, addresses: Iterable[str], where: str
    ) -> None:
        """Refuse a host if one of its addresses is not public, unless ``private_hosts`` lists it.

        Raises:
            SourceForbiddenError: one is not public. The message does not give the address away.
        """
        if any(name.covers(host, port) for name in self._private_names):
            return
        for text in addresses:
            address = ipaddress.ip_address(text.partition("%")[0])
            if is_public(address) or any(address in one for one in self._private_networks):
                continue
            _log.warning("%s refused: %s is at %s", where, host, address)
            raise SourceForbiddenError(
                f"{where} may not be read: {host!r} is at a private, loopback or link-local "
                "address; list it in sources.private_hosts if it is your own"
            )


def host_pattern(setting: str, entry: str) -> HostPattern:
    """An entry of a list of hosts.

    Raises:
        ConfigError: it is none; the message names the setting.
    """
    try:
        return HostPattern.parse(entry)
    except ValueError as error:
        raise ConfigError(
            f"setting sources.{setting}: {entry!r} is no host like example.com, *.example.com "
            "or [::1]:8080" + (", nor a network like 10.0.0.0/8" if "private" in setting else "")
        ) from error
