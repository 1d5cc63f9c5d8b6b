"""The suggestions themselves, held in memory."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, Final

from tracing import Trace

_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")


class DataSourceError(Exception):
    """The data file cannot be used; the message says why."""


class InvalidArticleIDError(ValueError):
    """What was given cannot be the id of an article."""


class UnknownArticleError(LookupError):
    """There is no article with this id."""


@Trace(expected=(InvalidArticleIDError, UnknownArticleError))
class SuggestionsService:
    """Looks suggestions up. Each public method is a span; a wrong id is not an error of ours.

    Raises:
        DataSourceError: The file is missing, or not an object of lists of article ids.
    """

    def __init__(self, filename: str) -> None:
        self._suggestions = _read(Path(filename))

    def get_suggestions(self) -> dict[str, list[str]]:
        """Return the suggested article ids of every article."""
        return self._suggestions

    def get_suggestions_for_article(self, article_id: str) -> list[str]:
        """Return the suggested article ids of one article; an empty list if it has none."""
        if not _ID.fullmatch(article_id):
            raise InvalidArticleIDError(article_id)
        try:
            return self._suggestions[article_id]
        except KeyError:
            raise UnknownArticleError(article_id) from None

    @Trace(disable_tracing=True)
    def count(self) -> int:
        """Return the number of articles; asked by every readiness probe, and so not a span."""
        return len(self._suggestions)


def _read(path: Path) -> dict[str, list[str]]:
    try:
        with path.open("rb") as file:
            data = json.load(file, object_pairs_hook=_without_repetition)
    except OSError as error:
        raise DataSourceError(f"data file {str(path)!r}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DataSourceError(f"data file {str(path)!r} is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise DataSourceError(f"data file {str(path)!r} is not an object of lists of article ids")
    for article_id, suggested in data.items():
        if not _ID.fullmatch(article_id):
            raise DataSourceError(f"data file {str(path)!r}: {article_id!r} is not an article id")
        if not (isinstance(suggested, list) and all(_is_id(one) for one in suggested)):
            raise DataSourceError(
                f"data file {str(path)!r}: {article_id!r} does not have a list of article ids"
            )
    return data


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = Counter(key for key, _ in pairs)
        raise ValueError(f"{keys.most_common(1)[0][0]!r} comes twice")
    return found
