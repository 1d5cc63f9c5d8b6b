"""Where spans go: what one backend address means.

An address is what people type: ``host:port``, a URL, or several of them with
commas between, each with headers of its own behind semicolons. `parse_backends`
turns it into `Backend` values, or raises `ConfigurationError` naming the part
that is wrong, never a header's value. The same cases are kept by the Go package
(testdata/contracts/backend-urls.json and backend-lists.json).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import unquote

from throughline_tracing.exceptions import ConfigurationError

Protocol = Literal["grpc", "http/protobuf", "http/json"]

GRPC: Final = "grpc"
HTTP: Final = "http/protobuf"
JSON: Final = "http/json"
TRACES_PATH: Final = "/v1/traces"

_PROTOCOLS: Final[tuple[Protocol, ...]] = (GRPC, HTTP, JSON)
_GRPC_PORT: Final = 4317
_HTTP_PORT: Final = 4318
_SCHEME_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}
_MAX_PORT = 65535
_SHOWN = 100  # characters of what was given, in an error
_PARTS = re.compile(r"([^/?#]*)([^?#]*)(.*)", re.DOTALL)
# A token of RFC 9110, in lower case.
_HEADER_NAME: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?")


@dataclass(frozen=True)
class Backend:
    """One place spans are exported to.

    Args:
        protocol: ``"grpc"``, ``"http/protobuf"`` or ``"http/json"``.
        endpoint: ``host:port`` for gRPC; for HTTP the whole URL that is posted to.
        insecure: True for plaintext, False for TLS.
        headers: Sent with every export to this backend, over those of
            ``OTEL_EXPORTER_OTLP_HEADERS``. Not in the ``repr``: they hold tokens.

    Example:
        >>> Backend.parse("https://otlp.example.com", headers={"authorization": "Bearer t"})
        Backend(protocol='grpc', endpoint='otlp.example.com:443', insecure=False)
    """

    protocol: Protocol
    endpoint: str
    insecure: bool
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)

    @classmethod
    def parse(
        cls, address: str, *, protocol: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Backend:
        """Read one address.

        Args:
            address: ``host``, ``host:port`` or an http or https URL.
            protocol: ``"grpc"``, ``"http/protobuf"`` or ``"http/json"``; wins over what
                the address suggests (gRPC, or HTTP where it has port 4318 or a path).
            headers: See `Backend`.

        Raises:
            ConfigurationError: The address cannot be used.
        """
        try:
            return _parse(address.strip(), protocol, dict(headers or {}))
        except ValueError as error:
            raise ConfigurationError([f"tracing backend {_shown(address)}: {error}"]) from None


def parse_backends(value: str | None, protocol: str | None = None) -> list[Backend]:
    """Read the backends in `value`, separated by commas.

    Args:
        value: As ``TRACING_BACKEND_URL`` holds it; None and blanks mean "not set".
            Headers of one backend follow its address: ``;name=value``,
            percent-encoded, where ``;bearer=TOKEN`` stands for
            ``;authorization=Bearer%20TOKEN``.
        protocol: As ``OTEL_EXPORTER_OTLP_PROTOCOL`` holds it.

    Returns:
        The backends in order, without repetitions; empty when not set.

    Raises:
        ConfigurationError: One sentence for each address that cannot be used.

    Example:
        >>> for backend in parse_backends("jaeger:4317, https://otlp.example.com/otlp"):
        ...     print(backend.protocol, backend.endpoint)
        grpc jaeger:4317
        http/protobuf https://otlp.example.com/otlp/v1/traces
    """
    backends: list[Backend] = []
    faults: list[str] = []
    for entry in (value or "").split(","):
        if not entry.strip():
            continue
        address, _, pairs = entry.partition(";")
        try:
            headers = parse_headers(pairs, ";", bearer=True)
        except ValueError as error:
            faults.append(f"tracing backend {_shown(address)}: {error}")
            continue
        try:
            backend = Backend.parse(address, protocol=protocol, headers=headers)
        except ConfigurationError as error:
            faults += error.faults
        else:
            if backend not in backends:
                backends.append(backend)
    if faults:
        raise ConfigurationError(faults)
    return backends


def parse_headers(text: str, separator: str, *, bearer: bool = False) -> dict[str, str]:
    """Read ``name=value`` pairs with percent-encoded values; the names come out in lower case.

    Args:
        text: The pairs; empty ones are skipped.
        separator: What stands between them.
        bearer: ``bearer=TOKEN`` stands for ``authorization=Bearer%20TOKEN``.

    Raises:
        ValueError: A pair cannot be read. No value is told: they are secrets.

    Example:
        >>> parse_headers("X-Team=core, a=b%20c", ",")
        {'x-team': 'core', 'a': 'b c'}
    """
    headers: dict[str, str] = {}
    for pair in filter(None, map(str.strip, text.split(separator))):
        name, equals, encoded = pair.partition("=")
        name = name.strip().lower()
        if not equals:
            if bearer and _HEADER_NAME.fullmatch(name):
                raise ValueError(f"header {name!r} has no value")
            raise ValueError("a header has no value")
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError("a header's name is not a token")
        if _BAD_ESCAPE.search(encoded):
            raise ValueError(f"header {name!r} is not percent-encoded")
        value = unquote(encoded.strip())
        if not value.isprintable():
            raise ValueError(f"header {name!r} has control characters")
        if bearer and name == "bearer":
            name, value = "authorization", f"Bearer {value}"
        headers[name] = value
    return headers


def check_protocol(protocol: str) -> Protocol:
    """Return `protocol` if spans can be exported by it.

    Raises:
        ValueError: They cannot.
    """
    for known in _PROTOCOLS:
        if protocol == known:
            return known
    raise ValueError(f"protocol {protocol!r} is not one of {', '.join(_PROTOCOLS)}")


def _parse(address: str, wanted: str | None, headers: dict[str, str]) -> Backend:
    chosen = check_protocol(wanted) if wanted else None
    scheme, separator, rest = address.partition("://")
    scheme = scheme.lower() if separator else ""
    if scheme not in {"", "http", "https"}:
        raise ValueError(f"scheme {scheme!r} is not one of http, https")

    parts = _PARTS.fullmatch(rest if separator else address)
    assert parts is not None
    authority, path, tail = parts.groups()
    if "@" in authority:
        raise ValueError("credentials do not belong in the address; put them in a header")
    if tail:
        raise ValueError("a query or a fragment does not belong in the address")
    if not path.isprintable():
        raise ValueError(f"path {path!r} has control characters")
    host, port = _host_and_port(authority)
    path = path.rstrip("/")

    protocol = chosen or (HTTP if path or port == _HTTP_PORT else GRPC)
    if protocol == GRPC:
        if path:
            raise ValueError(f"gRPC takes no path, and this has {path!r}")
        port = port or _SCHEME_PORTS.get(scheme) or _GRPC_PORT
        return Backend(GRPC, f"{host}:{port}", scheme != "https", headers)

    if port is None and not scheme:
        port = _HTTP_PORT
    authority = host if port is None else f"{host}:{port}"
    tail = "" if path.endswith(TRACES_PATH) else TRACES_PATH
    endpoint = f"{scheme or 'http'}://{authority}{path}{tail}"
    return Backend(protocol, endpoint, scheme != "https", headers)


def _host_and_port(authority: str) -> tuple[str, int | None]:
    """Split an authority; an IPv6 address keeps its brackets."""
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        host, colon, port = authority, "", ""
    if not host:
        raise ValueError("the host is missing")
    if host.startswith("["):
        try:
            ipaddress.IPv6Address(host[1:].removesuffix("]"))
        except ValueError:
            raise ValueError(f"host {host[:_SHOWN]!r} is not an IPv6 address") from None
        if not host.endswith("]"):
            raise ValueError(f"host {host!r} lacks a bracket")
    elif not _HOST.fullmatch(host):
        raise ValueError(f"host {host[:_SHOWN]!r} is not a host name")
    if not colon:
        return host, None
    if not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) <= _MAX_PORT):
        raise ValueError(f"port {port[:_SHOWN]!r} is not a number from 1 to {_MAX_PORT}")
    return host, int(port)


def _shown(address: str) -> str:
    """Quote an address for an error message, without what may be a password."""
    return repr(re.sub(r"//[^/@]*@", "//…@", address.strip())[:_SHOWN])
