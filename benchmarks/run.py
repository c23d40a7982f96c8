"""What a bench is told of the run it belongs to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """*scale* 1 is the size that the table speaks of; smaller ones are for looking whether a bench still works."""

    bench: str
    scale: float
    rounds: int

    def scaled(self, count: int) -> int:
        """Return as much of *count* as this run wants."""
        return max(1, round(count * self.scale))
