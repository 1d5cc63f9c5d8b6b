"""HTTP in and out. A request is a span by itself, so only what is switched off is decorated."""

from __future__ import annotations

import logging
from time import perf_counter

from dependency_injector.wiring import Provide, inject
from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException

from suggestions.containers import Container
from suggestions.service import InvalidArticleIDError, SuggestionsService, UnknownArticleError
from tracing import Trace

_logger = logging.getLogger("suggestions")


@inject
def index(
    suggestions_service: SuggestionsService = Provide[Container.suggestions_service],
) -> Response:
    return jsonify(suggestions_service.get_suggestions())


@inject
def get_by_article_id(
    article_id: str,
    suggestions_service: SuggestionsService = Provide[Container.suggestions_service],
) -> Response:
    return jsonify(suggestions_service.get_suggestions_for_article(article_id))


@Trace(disable_tracing=True)
def healthz() -> Response:
    return jsonify(status="ok")


@Trace(disable_tracing=True)
@inject
def readyz(
    suggestions_service: SuggestionsService = Provide[Container.suggestions_service],
) -> Response:
    return jsonify(status="ok", articles=suggestions_service.count())


def register(app: Flask) -> None:
    """Add the routes, the error answers and the log line of each request to `app`."""
    # One rule with and without a final slash, and so one span name.
    app.url_map.strict_slashes = False
    # A segment that is a slash (%2F) is an unknown id, not a redirect to the whole list.
    app.url_map.merge_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.add_url_rule("/suggestions/v1", "index", index)
    app.add_url_rule("/suggestions/v1/<article_id>", "get_by_article_id", get_by_article_id)
    app.add_url_rule("/healthz", "healthz", healthz)
    app.add_url_rule("/readyz", "readyz", readyz)

    app.register_error_handler(InvalidArticleIDError, _invalid_id)
    app.register_error_handler(UnknownArticleError, _unknown_article)
    app.register_error_handler(HTTPException, _http_error)
    app.before_request(_started)
    app.after_request(_finished)


def _error(code: str, message: str, status: int) -> tuple[Response, int]:
    return jsonify(error={"code": code, "message": message}), status


def _invalid_id(_: InvalidArticleIDError) -> tuple[Response, int]:
    return _error("invalid_article_id", "an article id is 1 to 64 letters, digits, - and _", 400)


def _unknown_article(error: UnknownArticleError) -> tuple[Response, int]:
    return _error("article_not_found", f"there is no article {error.args[0]!r}", 404)


def _http_error(error: HTTPException) -> Response:
    """Say in JSON what Flask says in HTML; headers such as Allow are kept."""
    response = error.get_response()
    code = error.name.lower().replace(" ", "_")
    body, _ = _error(code, error.description or error.name, 0)
    response.data = body.data
    response.content_type = body.content_type
    return response  # type: ignore[return-value]


def _started() -> None:
    g.started = perf_counter()


def _finished(response: Response) -> Response:
    rule = request.url_rule
    if rule is not None and rule.endpoint in {"healthz", "readyz"}:
        return response
    fields = {
        "method": request.method,
        "route": rule.rule if rule else None,
        "status": response.status_code,
        "duration_ms": round((perf_counter() - g.started) * 1000, 3),
    }
    _logger.info("request", extra=fields)
    return response
