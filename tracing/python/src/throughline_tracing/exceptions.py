"""The errors this package raises on purpose."""

from collections.abc import Sequence


class ConfigurationError(ValueError):
    """Settings that cannot be honoured; `faults` has one sentence for each.

    Raised before anything is started, with every fault found, so that a wrong
    environment is put right in one go.
    """

    faults: tuple[str, ...]

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)
