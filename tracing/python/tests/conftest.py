"""What the tests of this package share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from throughline_tracing.testing import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from throughline_tracing.testing import SpanRecorder


@pytest.fixture
def spans() -> Iterator[SpanRecorder]:
    """Record what is traced in the test."""
    with capture() as recorder:
        yield recorder
