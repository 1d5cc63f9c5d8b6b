"""What docs/operating-services.md says of the settings."""

import re
from pathlib import Path

from suggestions import config

DOCUMENT = Path(__file__).parents[3] / "docs" / "operating-services.md"


def documented() -> dict[str, str]:
    section = DOCUMENT.read_text().split("\n## suggestions\n")[1].split("\n## ")[0]
    return dict(re.findall(r"(?m)^\| `([A-Z_]+)` \| `([^`]*)` \|", section))


def test_every_variable_is_documented_and_no_other():
    source = Path(config.__file__).read_text()
    assert set(documented()) == set(re.findall(r'(?:text|number)\("([A-Z_]+)"', source))


def test_defaults_are_those_of_the_document():
    defaults = documented()
    file = defaults.pop("DATA_SOURCE_FILENAME")
    read = config.Settings.read({})
    assert config.Settings.read({**defaults, "DATA_SOURCE_FILENAME": read.data_source}) == read
    assert read.data_source.endswith(file)
