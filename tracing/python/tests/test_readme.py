"""The README's Python is run, block after block, in one namespace."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_examples_run():
    text = README.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 5
    namespace = {"__name__": "readme"}
    for number, block in enumerate(blocks):
        exec(compile(block, f"README.md, example {number + 1}", "exec"), namespace)


def test_what_is_not_run_compiles():
    text = README.read_text(encoding="utf-8")
    for block in re.findall(r"^```python no-run\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        compile(block, "README.md", "exec")
