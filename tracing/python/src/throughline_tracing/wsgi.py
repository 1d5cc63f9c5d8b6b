"""Server spans for WSGI applications.

`TraceMiddleware` wraps any application. One that knows its routes, such as
Flask through `throughline_tracing.flask`, gets better names by starting the
span itself once the route is known; `Request` is what both build on.

Guarantees: the trace of the caller is continued, and its sampling decision
kept; a span is current while the application runs and while its body is
produced, in whichever thread that is, and never longer; it ends when the body
ends, when the server closes it, or when it is thrown away. Under a server span
of another instrumentation nothing is added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import time_ns
from typing import TYPE_CHECKING, Any

from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import Span, SpanKind, set_span_in_context

from throughline_tracing._context import Context, attach, detach, get_current, get_current_span
from throughline_tracing._http import (
    MAX_VALUE,
    authority_attributes,
    end_request,
    local_server_span,
    method_attributes,
    redact_query,
    request_name,
    server_timing,
)
from throughline_tracing._propagators import extract
from throughline_tracing._suppression import is_suppressed, suppress
from throughline_tracing._tracers import Scope, logger, scope_for

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from opentelemetry.trace import TracerProvider


class EnvironGetter(Getter[dict[str, Any]]):
    """Reads request headers from a WSGI environment."""

    def __init__(self) -> None:
        self._keys: dict[str, str] = {}

    def get(self, carrier: dict[str, Any], key: str) -> list[str] | None:
        """Return the header as a list of one; servers join repeated ones with commas."""
        name = self._keys.get(key)
        if name is None:
            # Bounded: propagators ask for the names they know.
            name = self._keys[key] = "HTTP_" + key.upper().replace("-", "_")
        value = carrier.get(name)
        return None if value is None else [value]

    def keys(self, carrier: dict[str, Any]) -> list[str]:
        """Return the names of all headers, in lower case."""
        return [k[5:].replace("_", "-").lower() for k in carrier if k.startswith("HTTP_")]


_getter = EnvironGetter()


class Request:
    """One request on its way through an application.

    The one who wraps the application calls `run`; whoever knows the route calls
    `start` or `disable` before the view. If nobody does, `run` makes a span
    without a route afterwards, so that no request goes unseen.
    """

    __slots__ = (
        "_environ",
        "_scope",
        "_start_time",
        "_token",
        "context",
        "error",
        "span",
        "status",
        "streamed",
        "timing",
    )

    def __init__(self, environ: WSGIEnvironment, scope: Scope, *, timing: bool = False) -> None:
        self._environ = environ
        self._scope = scope
        self._start_time = time_ns()
        self._token: Any = None
        self.context: Context | None = None
        self.span: Span | None = None
        self.status: int | None = None
        self.error: BaseException | None = None
        # Until somebody knows better: ending at the end of the body is right for any body.
        self.streamed = True
        self.timing = timing

    def start(self, route: str | None) -> None:
        """Start the server span and make it current, with the caller's as its parent."""
        current = get_current()
        if local_server_span(current) or is_suppressed(current):
            self.context = current
            return
        parent = self._parent(current)
        try:
            self.span = self._start_span(route, parent)
        except Exception:
            logger.warning("starting the span of a request", exc_info=True)
        self._enter(parent if self.span is None else set_span_in_context(self.span, parent))

    def disable(self) -> None:
        """Record nothing of this request, and pass the caller's trace on as it came."""
        self._enter(suppress(self._parent(get_current())))

    def run(self, app: WSGIApplication, start_response: StartResponse) -> Iterable[bytes]:
        """Call `app`, and see the span to its end."""

        def started(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            code = status[:3]
            self.status = int(code) if code.isdigit() else None
            if self.timing and self.span is not None:
                headers = [*headers, ("server-timing", server_timing(self.span))]
            return start_response(status, headers, *rest)

        try:
            body = app(self._environ, started)
        except BaseException as error:
            self.error = error
            self._returned()
            self.end()
            raise
        context = self._returned()
        if not self.streamed:
            self.end()
            return body
        return self._follow(body, context)

    def end(self) -> None:
        """End the span; only the first call counts."""
        span, self.span = self.span, None
        if span is not None:
            end_request(span, self.status, self.error)

    def _returned(self) -> Context:
        if self.context is None:
            self.start(None)
        self._leave()
        assert self.context is not None
        return self.context

    def _start_span(self, route: str | None, parent: Context) -> Span | None:
        scope = self._scope
        if scope.provider is not scope.holder._TRACER_PROVIDER:
            scope.refresh()
        if scope.start_span is None:
            return None
        return scope.start_span(
            request_name(self._environ["REQUEST_METHOD"], route),
            parent,
            SpanKind.SERVER,
            request_attributes(self._environ, route),
            None,
            self._start_time,
        )

    def _follow(self, body: Iterable[bytes], context: Context) -> Iterable[bytes]:
        wrapper = self._environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(body, wrapper):
            # Servers send a file faster when they are handed the very object they made.
            close = getattr(body, "close", None)

            def closed() -> None:
                try:
                    if close is not None:
                        close()
                finally:
                    self.end()

            try:
                setattr(body, "close", closed)  # noqa: B010  (not every iterable has one)
            except AttributeError:
                self.end()
            return body
        return _Body(body, self, context)

    def _parent(self, current: Context) -> Context:
        span_context = get_current_span(current).get_span_context()
        if span_context.is_valid and span_context.is_remote:
            return current  # a middleware outside has read the headers
        return extract(self._environ, current, _getter)

    def _enter(self, context: Context) -> None:
        self.context = context
        self._token = attach(context)

    def _leave(self) -> None:
        token, self._token = self._token, None
        if token is not None:
            detach(token)


class _Body:
    """A response body that is produced in the context of its request."""

    def __init__(self, body: Iterable[bytes], request: Request, context: Context) -> None:
        self._body = body
        self._request = request
        self._context = context
        self._chunks: Iterator[bytes] | None = None
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        request = self._request
        token = attach(self._context)
        try:
            if self._chunks is None:
                self._chunks = iter(self._body)
            return next(self._chunks)
        except StopIteration:
            request.end()
            raise
        except BaseException as error:
            request.error = error
            request.end()
            raise
        finally:
            detach(token)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        request = self._request
        close = getattr(self._body, "close", None)
        token = attach(self._context)
        try:
            if close is not None:
                close()
        except BaseException as error:
            request.error = error
            raise
        finally:
            detach(token)
            request.end()

    def __del__(self) -> None:
        # A generator that is collected by itself would end in, and could change, whatever
        # context is current then.
        self.close()


class TraceMiddleware:
    """Traces a WSGI application.

    Args:
        app: The application.
        route: Gives the low-cardinality route of an environment, or None. It is
            asked before the application runs. Without it spans are named by method.
        excluded: Paths that are not recorded, such as ``{"/healthz"}``.
        server_timing: Tell the client the trace in a ``server-timing`` header.
        tracer_provider: Instead of the global one.

    Example:
        >>> from wsgiref.simple_server import demo_app
        >>> app = TraceMiddleware(demo_app, excluded={"/healthz"})
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        route: Callable[[WSGIEnvironment], str | None] | None = None,
        excluded: Iterable[str] = (),
        server_timing: bool = False,
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        self._app = app
        self._route = route
        self._excluded = frozenset(excluded)
        self._timing = server_timing
        self._scope = scope_for(__name__, tracer_provider)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Handle one request."""
        request = Request(environ, self._scope, timing=self._timing)
        if environ.get("PATH_INFO") in self._excluded:
            request.disable()
        else:
            request.start(self._known_route(environ))
        return request.run(self._app, start_response)

    def _known_route(self, environ: WSGIEnvironment) -> str | None:
        try:
            return self._route(environ) if self._route is not None else None
        except Exception:
            logger.warning("asking for the route of a request", exc_info=True)
            return None


def request_attributes(environ: WSGIEnvironment, route: str | None) -> dict[str, Any]:
    """Return the attributes a server span starts with."""
    get = environ.get
    attributes = method_attributes(environ["REQUEST_METHOD"])
    attributes["url.scheme"] = get("wsgi.url_scheme", "http")
    attributes["url.path"] = (get("SCRIPT_NAME", "") + get("PATH_INFO", ""))[:MAX_VALUE] or "/"
    if query := get("QUERY_STRING"):
        attributes["url.query"] = redact_query(query)
    if route:
        attributes["http.route"] = route
    attributes |= authority_attributes(
        get("HTTP_HOST"),
        attributes["url.scheme"],
        get("SERVER_NAME", ""),
        str(get("SERVER_PORT", "")),
    )
    if client := get("REMOTE_ADDR"):
        attributes["client.address"] = client
        attributes["network.peer.address"] = client
    protocol = get("SERVER_PROTOCOL", "")
    if protocol.startswith("HTTP/"):
        attributes["network.protocol.version"] = protocol[5:]
    if agent := get("HTTP_USER_AGENT"):
        attributes["user_agent.original"] = agent[:MAX_VALUE]
    return attributes
