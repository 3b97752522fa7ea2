"""Interleaved rounds, and what comes out of them. Every sample is a cost: seconds, milliseconds or bytes; less is better."""

import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from legs import COLUMNAR, HYPER_LEGS, NATIVE, PLAIN, WATCHED, Leg

BLOCKS = 15


@dataclass(frozen=True)
class Goal:
    """`limit` is a factor on the partner's cost, or a cost if there is no partner."""

    limit: float
    partner: Leg | None = NATIVE
    # In the words of who set it, where the number says too little.
    stated: str = ""
    # A cost that will do even if the partner's is so small that the factor asks for less.
    enough: float | None = None

    @staticmethod
    def rows_per_second(rows: int, thousands: int) -> "Goal":
        return Goal(rows / thousands / 1000, None, f"{thousands} k rows/s")


@dataclass
class Measurement:
    name: str
    unit: str
    legs: tuple[Leg, ...]
    goal: Goal | None = None
    # From a cost to what is shown in `unit`: a number of rows turns seconds into thousands of rows per second.
    rows: int | None = None
    samples: dict[Leg, list[float]] = field(default_factory=dict)
    failures: dict[Leg, str] = field(default_factory=dict)
    # Processor seconds of the sessions, where they are known: what other programs do to the machine disturbs them less.
    cpu: dict[Leg, list[float]] = field(default_factory=dict)
    # What is hoped for later; nothing is judged by it.
    later: str = ""

    def cost(self, leg: Leg) -> float | None:
        samples = self.samples.get(leg)
        return statistics.median(samples) if samples and leg not in self.failures else None

    def shown(self, leg: Leg) -> float | None:
        cost = self.cost(leg)
        if cost is None:
            return None
        return self.rows / cost / 1000 if self.rows else cost

    def ratio(self, leg: Leg, partner: Leg) -> tuple[float, float, float] | None:
        """Median and quartiles of the costs of a leg by those of its partner in the same round."""
        if self.cost(leg) is None or self.cost(partner) is None or not all(self.samples[partner]):
            return None
        return spread(self.samples[leg], self.samples[partner])

    def cpu_ratio(self, leg: Leg, partner: Leg) -> float | None:
        if self.cost(leg) is None or self.cost(partner) is None or not self.cpu:
            return None
        return spread(self.cpu[leg], self.cpu[partner])[0]

    def unsure(self, leg: Leg) -> bool:
        """Whether the goal lies between the quartiles, so that another run may well say the opposite."""
        cost = self.cost(leg)
        if self.goal is None or self.goal.partner is None or cost is None or cost <= (self.goal.enough or 0):
            return False
        ratio = self.ratio(leg, self.goal.partner)
        return ratio is not None and ratio[1] <= self.goal.limit < ratio[2]

    def reached(self, leg: Leg) -> bool | None:
        """None: this leg was not measured, which no one may take for a success."""
        cost = self.cost(leg)
        if self.goal is None or cost is None:
            return None
        if self.goal.partner is None:
            return cost <= self.goal.limit
        if self.goal.enough is not None and cost <= self.goal.enough:
            return True
        ratio = self.ratio(leg, self.goal.partner)
        return None if ratio is None else ratio[0] <= self.goal.limit


def spread(costs: list[float], partners: list[float]) -> tuple[float, float, float]:
    """Median and quartiles of the ratios of what was measured in the same round, or, with many short rounds, in the same block of
    rounds: what a single one of these does is of no interest."""
    size = max(1, min(len(costs), len(partners)) // BLOCKS)
    starts = range(0, min(len(costs), len(partners)) - size + 1, size)
    ratios = [statistics.median(costs[at : at + size]) / statistics.median(partners[at : at + size]) for at in starts]
    if len(ratios) < 2:
        return ratios[0], ratios[0], ratios[0]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return middle, low, high


def interleave(measurement: Measurement, rounds: int, sample: Callable[[Leg], float]) -> Iterator[Measurement]:
    """Takes one sample of every leg in each round, beginning with another leg each time."""
    for number in range(rounds):
        for leg in rotated(measurement.legs, number):
            attempt(measurement, leg, sample, leg)
    yield from finished(measurement)


def rotated(legs: tuple[Leg, ...], by: int) -> tuple[Leg, ...]:
    return legs[by % len(legs) :] + legs[: by % len(legs)]


def attempt(measurement: Measurement, leg: Leg, sample: Callable[..., float], *arguments: object) -> None:
    """Adds a sample, or notes why there is none; a leg that failed once is not tried again."""
    if leg in measurement.failures:
        return
    try:
        measurement.samples.setdefault(leg, []).append(sample(*arguments))
    except Exception as error:  # whatever breaks one leg must not hide the others
        measurement.failures[leg] = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        say(f"  FAILED {measurement.name}, {leg.title}: {error}")


def summary(measurement: Measurement) -> str:
    words = [f"{measurement.name}:"]
    for leg in measurement.legs:
        shown = measurement.shown(leg)
        words.append(f"{leg.title} {'n/a' if shown is None else f'{shown:.4g}'}")
        partner = NATIVE if leg in HYPER_LEGS else PLAIN if leg == COLUMNAR else measurement.legs[0] if leg == WATCHED and len(measurement.legs) > 1 else None
        ratio = measurement.ratio(leg, partner) if partner else None
        if ratio:
            words[-1] += f" (x{ratio[0]:.3f})"
    return " ".join(words[:1]) + " " + ", ".join(words[1:]) + f" {measurement.unit}"


def finished(*measurements: Measurement) -> Iterator[Measurement]:
    for measurement in measurements:
        say(f"  {summary(measurement)}")
        yield measurement


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
