"""Server spans for ASGI applications: Starlette, FastAPI and any other.

    from throughline_tracing.asgi import TraceMiddleware

    app = TraceMiddleware(FastAPI())

Wrap the application rather than passing the class to ``add_middleware``: FastAPI
opens its own server span before its middlewares run, and then this adds none.
Outermost, this one takes its place, routes that are switched off with
``@Trace(disable_tracing=True)`` are not recorded, and the span covers error handlers.

Guarantees: the trace of the caller is continued, and its sampling decision
kept; the span is named by the route that matches, or by the method alone; it
ends with the last part of the body, before background tasks, which are still
in its trace. Websockets get no span of their own: what happens on one belongs
to the caller's trace.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from time import time_ns
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import Span, SpanKind, set_span_in_context

from throughline_tracing._context import Context, attach, detach, get_current, get_current_span
from throughline_tracing._http import (
    FIRST_SERVER_ERROR,
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
from throughline_tracing._suppression import is_disabled, is_suppressed, suppress
from throughline_tracing._tracers import logger, scope_for

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# FastAPI leaves a request alone whose scope has this key, and removes it nowhere but itself.
_FASTAPI: Final = "fastapi.telemetry"
_MAX_MOUNTS: Final = 16


class ScopeGetter(Getter[Scope]):
    """Reads request headers from an ASGI scope."""

    def get(self, carrier: Scope, key: str) -> list[str] | None:
        """Return every header of this name; those of baggage as one list."""
        name = key.lower().encode("latin-1")
        found = [v.decode("latin-1") for k, v in carrier.get("headers", ()) if k.lower() == name]
        if name == b"baggage" and len(found) > 1:
            return [",".join(found)]  # the propagator reads the first alone
        return found or None

    def keys(self, carrier: Scope) -> list[str]:
        """Return the names of all headers, in lower case."""
        return [k.decode("latin-1").lower() for k, _ in carrier.get("headers", ())]


_getter = ScopeGetter()


class TraceMiddleware:
    """Traces an ASGI application.

    Args:
        app: The application.
        route: Gives the low-cardinality route of a scope, or None. By default
            the routes of Starlette and FastAPI are asked.
        excluded: Paths that are not recorded, such as ``{"/healthz"}``.
        server_timing: Tell the client the trace in a ``server-timing`` header.
        tracer_provider: Instead of the global one.

    Example:
        >>> async def hello(scope, receive, send):
        ...     await send({"type": "http.response.start", "status": 204})
        ...     await send({"type": "http.response.body"})
        >>> app = TraceMiddleware(hello, excluded={"/healthz"})
    """

    def __init__(
        self,
        app: Application,
        *,
        route: Callable[[Scope], str | None] | None = None,
        excluded: Iterable[str] = (),
        server_timing: bool = False,
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        self.app = app
        self._route = route
        self._excluded = frozenset(excluded)
        self._timing = server_timing
        self._scope = scope_for(__name__, tracer_provider)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, connection or lifespan."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        current = get_current()
        if local_server_span(current):
            await self.app(scope, receive, send)
            return
        parent = _parent(scope, current)
        if scope["type"] == "websocket":
            await self._within(parent, scope, receive, send)
            return
        scope[_FASTAPI] = None
        if is_suppressed(current) or scope["path"] in self._excluded:
            await self._within(suppress(parent), scope, receive, send)
            return
        span = None
        try:
            route, endpoint = self._matched(scope)
            if is_disabled(endpoint, scope["method"]):
                parent = suppress(parent)
            else:
                span = self._start(scope, route, parent)
        except Exception:
            logger.warning("starting the span of a request", exc_info=True)
        if span is None:
            await self._within(parent, scope, receive, send)
            return
        await self._traced(span, parent, scope, receive, send)

    def _start(self, scope: Scope, route: str | None, parent: Context) -> Span | None:
        tracers = self._scope
        if tracers.provider is not tracers.holder._TRACER_PROVIDER:
            tracers.refresh()
        if tracers.start_span is None:
            return None
        return tracers.start_span(
            request_name(scope["method"], route),
            parent,
            SpanKind.SERVER,
            request_attributes(scope, route),
            None,
            time_ns(),
        )

    async def _within(self, context: Context, scope: Scope, receive: Receive, send: Send) -> None:
        token = attach(context)
        try:
            await self.app(scope, receive, send)
        finally:
            detach(token)

    async def _traced(
        self, span: Span, parent: Context, scope: Scope, receive: Receive, send: Send
    ) -> None:
        status: int | None = None
        trailers = False
        end_time: int | None = None
        open_span: Span | None = span

        def end(error: BaseException | None = None) -> None:
            nonlocal open_span
            ending, open_span = open_span, None
            if ending is not None:
                end_request(ending, status, error, end_time)

        def body_sent() -> None:
            nonlocal end_time
            if status is not None and status >= FIRST_SERVER_ERROR:
                # Starlette answers an exception, and then raises it.
                end_time = time_ns()
            else:
                end()

        async def sent(message: Message) -> None:
            nonlocal status, trailers
            kind = message["type"]
            if kind == "http.response.start":
                status = message["status"]
                trailers = message.get("trailers", False)
                if self._timing:
                    header = (b"server-timing", server_timing(span).encode("ascii"))
                    message = {**message, "headers": [*message.get("headers", ()), header]}
            await send(message)
            if (
                (kind == "http.response.body" and not message.get("more_body") and not trailers)
                or (kind == "http.response.trailers" and not message.get("more_trailers"))
                or kind == "http.response.pathsend"
            ):
                body_sent()

        token = attach(set_span_in_context(span, parent))
        try:
            await self.app(scope, receive, sent)
        except BaseException as error:
            end(error)
            raise
        finally:
            detach(token)
            end()

    def _matched(self, scope: Scope) -> tuple[str | None, Any]:
        """Return the route and the endpoint of a request, None for what is not known."""
        if self._route is not None:
            return self._route(scope), None
        app = scope.get("app", self.app)
        route, endpoint = match_route(getattr(app, "routes", ()), scope)
        root = str(scope.get("root_path", "")).rstrip("/")
        return (None if route is None else root + route), endpoint


def match_route(routes: Iterable[Any], scope: Scope) -> tuple[str | None, Any]:
    """Find the route of Starlette or FastAPI that will take a request.

    Returns:
        Its path with that of its mounts, and its endpoint; both None when none
        takes the path and the method.
    """
    prefix = ""
    for _ in range(_MAX_MOUNTS):
        for route in _leaves(routes):
            matches = getattr(route, "matches", None)
            if matches is None:  # another framework's
                return None, None
            match, child = matches(scope)
            if match.name != "FULL":
                continue
            inner = getattr(route, "routes", None)
            if inner is None:
                path = getattr(route, "path", None)
                return (prefix + path if path else None), getattr(route, "endpoint", None)
            prefix += getattr(route, "path", None) or ""
            routes, scope = inner, {**scope, **child}
            if not inner:  # a mounted application that shows no routes
                return f"{prefix}/{{path}}", None
            break
        else:
            return None, None
    return None, None


def _leaves(routes: Iterable[Any]) -> Iterator[Any]:
    """Return the routes; FastAPI's, with the prefixes of the routers they are included by."""
    import sys

    fastapi = sys.modules.get("fastapi.routing")
    flatten = getattr(fastapi, "iter_route_contexts", None)
    leaves: Iterator[Any] = iter(routes) if flatten is None else flatten(routes)
    return leaves


def _parent(scope: Scope, current: Context) -> Context:
    span_context = get_current_span(current).get_span_context()
    if span_context.is_valid and span_context.is_remote:
        return current  # a middleware outside has read the headers
    return extract(scope, current, _getter)


def request_attributes(scope: Scope, route: str | None) -> dict[str, Any]:
    """Return the attributes a server span starts with."""
    attributes = method_attributes(scope["method"])
    scheme = attributes["url.scheme"] = scope.get("scheme", "http")
    attributes["url.path"] = scope["path"][:MAX_VALUE] or "/"
    if query := scope.get("query_string"):
        attributes["url.query"] = redact_query(query.decode("latin-1"))
    if route:
        attributes["http.route"] = route
    host = agent = None
    for name, value in scope.get("headers", ()):
        if name == b"host":
            host = value.decode("latin-1")
        elif name == b"user-agent":
            agent = value.decode("latin-1")
    address, port = scope.get("server") or ("", None)
    attributes |= authority_attributes(host, scheme, address, "" if port is None else str(port))
    if client := scope.get("client"):
        attributes["client.address"] = client[0]
        attributes["network.peer.address"] = client[0]
    if version := scope.get("http_version"):
        attributes["network.protocol.version"] = version
    if agent:
        attributes["user_agent.original"] = agent[:MAX_VALUE]
    return attributes
