"""Tracing of Flask applications.

    from throughline_tracing.flask import trace_app

    app = Flask(__name__)
    trace_app(app, excluded={"/healthz"})

Every request gets one server span, named ``GET /suggestions/v1/<article_id>``
by the rule that matched, or by its method when none did. A view decorated with
``@Trace(disable_tracing=True)`` switches its whole request off: nothing of it
is recorded here, and what it calls gets the caller's ``traceparent`` unchanged.

Guarantees: those of `throughline_tracing.wsgi`. The span is current before any
``before_request`` function runs. Where FlaskInstrumentor traces the same
application, this adds no second server span.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from flask import Flask, Response, got_request_exception
from flask import request as flask_request
from werkzeug.wsgi import ClosingIterator

from throughline_tracing._context import get_current
from throughline_tracing._suppression import is_disabled
from throughline_tracing._tracers import scope_for
from throughline_tracing.wsgi import Request

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from opentelemetry.trace import TracerProvider

_KEY: Final = "throughline_tracing.request"
_EXTENSION: Final = "throughline_tracing"
_INSTRUMENTOR: Final = "opentelemetry-flask.starttime_key"


def trace_app(
    app: Flask,
    *,
    excluded: Iterable[str] = (),
    server_timing: bool = False,
    tracer_provider: TracerProvider | None = None,
) -> Flask:
    """Trace the requests of `app`; a second call changes nothing.

    Args:
        app: The application; blueprints and views may be added before and after.
        excluded: Rules, such as ``"/healthz"``, whose requests are not recorded.
        server_timing: Tell the client the trace in a ``server-timing`` header.
        tracer_provider: Instead of the global one.

    Returns:
        The same application.

    Example:
        >>> app = trace_app(Flask("example"), excluded={"/healthz"})
        >>> @app.get("/hello/<name>")
        ... def hello(name: str) -> str:
        ...     return f"hello {name}"
        >>> app.test_client().get("/hello/ada").text
        'hello ada'
    """
    if _EXTENSION in app.extensions:
        return app
    app.extensions[_EXTENSION] = True
    scope = scope_for(__name__, tracer_provider)
    inner = app.wsgi_app
    untraced = frozenset(excluded)
    disabled: dict[tuple[str, str], tuple[Any, bool]] = {}

    def is_view_disabled(endpoint: str, method: str) -> bool:
        view = app.view_functions.get(endpoint)
        known = disabled.get((endpoint, method))
        if known is None or known[0] is not view:
            # Bounded: the endpoints of the application times the methods their rules allow.
            known = disabled[endpoint, method] = (view, is_disabled(view, method))
        return known[1]

    def wsgi_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        outer = environ.get(_KEY)
        request = environ[_KEY] = Request(environ, scope, timing=server_timing)
        try:
            return request.run(inner, start_response)
        finally:
            environ[_KEY] = outer

    def before() -> None:
        environ = flask_request.environ
        request: Request | None = environ.get(_KEY)
        if request is None or request.context is not None:
            return
        rule = flask_request.url_rule
        if rule is not None and (
            rule.rule in untraced or is_view_disabled(rule.endpoint, environ["REQUEST_METHOD"])
        ):
            request.disable()
        elif _INSTRUMENTOR in environ:
            request.context = get_current()  # FlaskInstrumentor has made the span, or is about to
        else:
            request.start(None if rule is None else environ.get("SCRIPT_NAME", "") + rule.rule)

    def after(response: Response) -> Response:
        request: Request | None = flask_request.environ.get(_KEY)
        if request is not None:
            request.streamed = _is_streamed(response)
        return response

    def failed(_: Flask, exception: BaseException, **__: object) -> None:
        request: Request | None = flask_request.environ.get(_KEY)
        if request is not None:
            request.error = exception

    app.wsgi_app = wsgi_app  # type: ignore[method-assign]
    # First before the request, last after it: everything else happens within the span.
    app.before_request_funcs.setdefault(None, []).insert(0, before)
    app.after_request_funcs.setdefault(None, []).insert(0, after)
    got_request_exception.connect(failed, app, weak=False)
    return app


def _is_streamed(response: Response) -> bool:
    """Report whether the body is still to be made when the view has returned.

    Not so for error pages: Flask makes them responses by running Werkzeug's
    exceptions as WSGI applications, whose bodies have no length but in the header.
    """
    if isinstance(response.response, ClosingIterator) and "content-length" in response.headers:
        return False
    return response.is_streamed
