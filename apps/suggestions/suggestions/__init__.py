"""Suggestions: which articles to read after this one, over HTTP.

    GET /suggestions/v1               {article id: [article ids]}, as in the data file
    GET /suggestions/v1/<article_id>  [article ids]
    GET /healthz, /readyz             alive; ready, with the number of articles

Errors are ``{"error": {"code": …, "message": …}}``. The data is read once, at the start.
"""

# First of all: other packages import OpenTelemetry's propagators, which fails where
# OTEL_PROPAGATORS names one that is not installed; this import tells it with the other faults.
import tracing as tracing
