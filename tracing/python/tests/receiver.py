"""A real OTLP receiver on 127.0.0.1, gRPC and HTTP, that keeps what it is sent."""

import base64
import gzip
import json
import threading
import time
import zlib
from concurrent import futures
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as rpc

KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"]


@dataclass
class Span:
    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_span_id: str
    scope: str
    start: int
    end: int
    status: int
    attributes: dict
    resource: dict
    events: list
    links: list
    trace_state: str
    flags: int
    headers: dict = field(repr=False)


class Receiver:
    """Keeps spans from both protocols; `token` is demanded in the authorization header."""

    def __init__(self, token=None, tls=None, grpc_credentials=None):
        self.token = token
        self.spans = []
        self.requests = []
        self.refused = 0
        self._changed = threading.Condition()
        self._grpc = grpc.server(futures.ThreadPoolExecutor(4))
        rpc.add_TraceServiceServicer_to_server(_Service(self), self._grpc)
        if grpc_credentials is None:
            self.grpc_port = self._grpc.add_insecure_port("127.0.0.1:0")
        else:
            self.grpc_port = self._grpc.add_secure_port("127.0.0.1:0", grpc_credentials)
        self._grpc.start()
        self._http = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("H", (_Handler,), {"receiver": self})
        )
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self.http_port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def grpc_address(self):
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def http_url(self):
        return f"http://127.0.0.1:{self.http_port}/v1/traces"

    def take(self, request, headers):
        """Keep a request; False if its token is wrong."""
        with self._changed:
            if self.token and headers.get("authorization") != f"Bearer {self.token}":
                self.refused += 1
                self._changed.notify_all()
                return False
            self.requests.append(headers)
            for resource_spans in request.resource_spans:
                resource = _attributes(resource_spans.resource.attributes)
                for scope_spans in resource_spans.scope_spans:
                    for s in scope_spans.spans:
                        self.spans.append(_span(s, resource, scope_spans.scope.name, headers))
            self._changed.notify_all()
            return True

    def wait(self, count=1, timeout=60.0, where=lambda span: True):
        """Return the spans that match once there are `count`; fail after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = [s for s in self.spans if where(s)]
                if len(found) >= count:
                    return found
                left = deadline - time.monotonic()
                assert left > 0, f"{len(found)} of {count} spans came: {tree(self.spans)}"
                self._changed.wait(left)

    def clear(self):
        with self._changed:
            self.spans.clear()
            self.requests.clear()

    def close(self):
        self._http.shutdown()
        self._http.server_close()
        self._grpc.stop(0).wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class _Service(rpc.TraceServiceServicer):
    def __init__(self, receiver):
        self._receiver = receiver

    def Export(self, request, context):
        if not self._receiver.take(request, dict(context.invocation_metadata())):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no valid token")
        return pb.ExportTraceServiceResponse()


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        encoding = self.headers.get("content-encoding")
        if encoding == "gzip":
            body = gzip.decompress(body)
        elif encoding == "deflate":
            body = zlib.decompress(body)
        headers = {k.lower(): v for k, v in self.headers.items()} | {":path": self.path}
        is_json = headers["content-type"] == "application/json"
        read = from_json if is_json else pb.ExportTraceServiceRequest.FromString
        ok = self.receiver.take(read(body), headers)
        self.send_response(200 if ok else 401)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def from_json(body):
    """Read OTLP's JSON, as strictly as it is written: ids in hex, enumerations as numbers."""

    def convert(pairs):
        found = dict(pairs)
        for key in found.keys() & {"traceId", "spanId", "parentSpanId"}:
            assert len(found[key]) == (32 if key == "traceId" else 16)
            found[key] = base64.b64encode(bytes.fromhex(found[key])).decode()
        assert not isinstance(found.get("kind"), str)
        return found

    return ParseDict(json.loads(body, object_pairs_hook=convert), pb.ExportTraceServiceRequest())


def _attributes(pairs):
    def value(v):
        kind = v.WhichOneof("value")
        if kind == "array_value":
            return [value(x) for x in v.array_value.values]
        return getattr(v, kind) if kind else None

    return {kv.key: value(kv.value) for kv in pairs}


def _span(s, resource, scope, headers):
    return Span(
        service=resource.get("service.name"),
        name=s.name,
        kind=KINDS[s.kind],
        trace_id=s.trace_id.hex(),
        span_id=s.span_id.hex(),
        parent_span_id=s.parent_span_id.hex(),
        scope=scope,
        start=s.start_time_unix_nano,
        end=s.end_time_unix_nano,
        status=s.status.code,
        attributes=_attributes(s.attributes),
        resource=resource,
        events=[(e.name, _attributes(e.attributes)) for e in s.events],
        links=[(x.trace_id.hex(), x.span_id.hex()) for x in s.links],
        trace_state=s.trace_state,
        flags=s.flags,
        headers=headers,
    )


def tree(spans):
    """Return the spans as text, children below their parents in order of start."""
    ids = {s.span_id for s in spans}
    lines = []

    def add(parent, depth):
        for s in sorted((s for s in spans if parent(s)), key=lambda s: s.start):
            lines.append(f"{'  ' * depth}{s.service} {s.kind} {s.name}")
            add(lambda child, s=s: child.parent_span_id == s.span_id, depth + 1)

    add(lambda s: s.parent_span_id not in ids, 0)
    return "\n".join(lines)
