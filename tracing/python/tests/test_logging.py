"""JSON lines and the filter that names the trace."""

import io
import json
import logging
import subprocess
import sys
from datetime import datetime

import pytest

from throughline_tracing import Trace
from throughline_tracing.logging import JSONFormatter, TraceContextFilter, configure_logging


@pytest.fixture
def stream():
    handlers, level = logging.root.handlers[:], logging.root.level
    stream = io.StringIO()
    configure_logging("DEBUG", stream, service="svc")
    yield stream
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_within_a_span_and_one_outside(spans, stream):
    logger = logging.getLogger("app")
    with Trace("work"):
        logger.warning("within %s", "it", extra={"count": 3})
    logger.info("outside")
    inside, outside = lines(stream)
    context = spans.one("work").context
    assert datetime.fromisoformat(inside.pop("time").replace("Z", "+00:00")).tzinfo
    assert inside == {
        "level": "WARN",
        "msg": "within it",
        "logger": "app",
        "service": "svc",
        "count": 3,
        "trace_id": f"{context.trace_id:032x}",
        "span_id": f"{context.span_id:016x}",
        "trace_flags": f"{context.trace_flags:02x}",
    }
    assert outside.keys() == {"time", "level", "msg", "logger", "service"}


def test_an_exception(stream):
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("app").critical("it", exc_info=True)
    (line,) = lines(stream)
    assert line["level"] == "ERROR"
    assert line["error"].endswith("ValueError: broken")
    record = logging.makeLogRecord({"msg": "x", "exc_text": "kept"})
    assert json.loads(JSONFormatter().format(record))["error"] == "kept"


def test_a_line_is_one_line_and_never_fails(stream):
    class Unprintable:
        def __repr__(self):
            raise RuntimeError

        __str__ = __repr__

    logging.getLogger("app").info(
        "two\nlines",
        extra={
            "odd": Unprintable(),
            "error_value": KeyError("k"),
            "nested": {"a": {1, 2}},
            "bad": "\ud800",
        },
    )
    (line,) = lines(stream)
    assert line["msg"] == "two\nlines"
    assert line["odd"] == "<test_a_line_is_one_line_and_never_fails.<locals>.Unprintable>"
    assert line["error_value"] == "KeyError: 'k'"
    assert line["nested"] == {"a": "<set>"}


def test_what_cannot_be_written_as_json_at_all(stream):
    circle = {}
    circle["self"] = circle
    for extra in ({"circle": circle}, {"keys": {(1, 2): 3}}, {"nan": float("nan")}):
        logging.getLogger("app").info("odd", extra=extra | {"count": 1})
    assert [(line["msg"], line["count"]) for line in lines(stream)] == [("odd", 1)] * 3
    assert lines(stream)[2]["nan"] == "nan"


def test_the_filter(spans):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(TraceContextFilter())
    handler.setFormatter(logging.Formatter("%(trace_id)s/%(span_id)s/%(trace_flags)s %(message)s"))
    logger = logging.getLogger("filtered")
    logger.propagate = False
    logger.addHandler(handler)
    with Trace("work"):
        logger.warning("in")
    logger.warning("out")
    context = spans.one("work").context
    assert stream.getvalue() == (
        f"{context.trace_id:032x}/{context.span_id:016x}/{context.trace_flags:02x} in\n// out\n"
    )


def test_standard_error_is_the_default():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import logging\nfrom throughline_tracing.logging import configure_logging\n"
            "configure_logging()\nlogging.info('x')\nlogging.debug('y')",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert [json.loads(line)["msg"] for line in done.stderr.splitlines()] == ["x"]
