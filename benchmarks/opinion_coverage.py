"""How often intervals of opinions cover the truth, over made-up people and questions.

python benchmarks/opinion_coverage.py [--simulations N] [--resamples N] [--json]

- multinomial: each question is answered by n people of its own; shares alone are known.
- respondents: the same people answer every question, each leaning the same way on all of them.
- crossed: right or wrong answers of persons to items, both samples, some cells empty.

The truth is the mean over the whole population of questions (and people).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from truing.statistics.opinion_distances import representativeness
from truing.statistics.opinion_intervals import multinomial_interval, respondents_by_questions
from truing.statistics.pigeonhole import crossed_mean
from truing.types import Estimate

OPTIONS = 4
SCALE = tuple(range(OPTIONS))
POPULATION = 20_000
Floats = NDArray[np.float64]
Simulation = Callable[[np.random.Generator, int], tuple[Estimate, float]]


def _questions(rng: np.random.Generator, count: int, gap: float) -> tuple[Floats, Floats]:
    """(count, K): a model's distributions and the group's true shares, `gap` apart."""
    people = rng.dirichlet(np.full(OPTIONS, 1.5), count)
    model = (1 - gap) * people + gap * rng.dirichlet(np.ones(OPTIONS), count)
    return model, people


def multinomial(questions: int, n: int, gap: float) -> Simulation:
    """Shares of n people a question; the truth is that of 20,000 questions like these."""
    model, people = _questions(np.random.default_rng(0), POPULATION, gap)
    truth = float(representativeness(model, people, SCALE).mean())

    def one(rng: np.random.Generator, resamples: int) -> tuple[Estimate, float]:
        chosen = rng.integers(0, POPULATION, questions)
        shares = rng.multinomial(n, people[chosen]) / n
        scales, sizes = [SCALE] * questions, [float(n)] * questions
        estimate = multinomial_interval(
            list(model[chosen]), list(shares), sizes, scales, resamples=resamples
        )
        return estimate, truth

    return one


def respondents(questions: int, persons: int, leaning: float, gap: float) -> Simulation:
    """Answers by thresholds of a latent opinion, which has a part of each person's own."""
    rng = np.random.default_rng(0)
    middles = rng.normal(0, 0.7, 2000)
    cuts = np.array([-0.8, 0.0, 0.8])
    latent = np.quantile(rng.normal(size=POPULATION), np.linspace(0.0005, 0.9995, 1000))
    below = (latent[None, :, None] + middles[:, None, None] < cuts).mean(1)
    people = np.diff(np.concatenate([np.zeros((2000, 1)), below, np.ones((2000, 1))], 1), axis=1)
    model = (1 - gap) * people + gap * rng.dirichlet(np.ones(OPTIONS), 2000)
    truth = float(representativeness(model, people, SCALE).mean())

    def one(rng: np.random.Generator, resamples: int) -> tuple[Estimate, float]:
        chosen = rng.integers(0, len(middles), questions)
        own = rng.normal(0, np.sqrt(leaning), (persons, 1))
        noise = rng.normal(0, np.sqrt(1 - leaning), (persons, questions))
        answers = np.searchsorted(cuts, own + noise + middles[chosen], side="right")
        answers[rng.random(answers.shape) < 0.1] = -1
        estimate = respondents_by_questions(
            list(model[chosen]), answers, [SCALE] * questions, resamples=resamples
        )
        return estimate, truth

    return one


def crossed(persons: int, items: int, spread: float) -> Simulation:
    """Logits of a part of each person and of each item; 80 % of the cells are there."""
    parts = np.random.default_rng(0).normal(0, spread, (2, POPULATION))
    truth = float(expit(0.8 + parts[0] + parts[1]).mean())

    def one(rng: np.random.Generator, resamples: int) -> tuple[Estimate, float]:
        logits = 0.8 + rng.normal(0, spread, (persons, 1)) + rng.normal(0, spread, (1, items))
        there = rng.random(logits.shape) < 0.8
        right = (rng.random(logits.shape) < expit(logits))[there].astype(float)
        who, what = np.nonzero(there)
        estimate = crossed_mean(right.tolist(), who.tolist(), what.tolist(), resamples=resamples)
        return estimate, truth

    return one


DESIGNS: dict[str, Simulation] = {
    "multinomial, 30 questions, 50 people, gap 0.3": multinomial(30, 50, 0.3),
    "multinomial, 30 questions, 500 people, gap 0.3": multinomial(30, 500, 0.3),
    "multinomial, 150 questions, 50 people, gap 0.3": multinomial(150, 50, 0.3),
    "multinomial, 150 questions, 50 people, gap 1": multinomial(150, 50, 1.0),
    "respondents, 30 questions x 60 people, leaning 0.1, gap 0.5": respondents(30, 60, 0.1, 0.5),
    "respondents, 30 questions x 60 people, leaning 0.4, gap 0.5": respondents(30, 60, 0.4, 0.5),
    "respondents, 100 questions x 200 people, leaning 0.4, gap 1": respondents(100, 200, 0.4, 1.0),
    "crossed, 20 persons x 40 items, spread 0.7": crossed(20, 40, 0.7),
    "crossed, 40 persons x 60 items, spread 1": crossed(40, 60, 1.0),
}


def coverage(simulation: Simulation, simulations: int, resamples: int) -> tuple[float, float]:
    """The share of intervals that cover the truth, and their mean width."""
    covered, width = 0, 0.0
    for number in range(simulations):
        estimate, truth = simulation(np.random.default_rng((1, number)), resamples)
        assert estimate.low is not None and estimate.high is not None
        covered += estimate.low <= truth <= estimate.high
        width += estimate.high - estimate.low
    return covered / simulations, width / simulations


def main() -> None:
    """Print the coverage of each design."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=500)
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = {}
    for name, simulation in DESIGNS.items():
        share, width = coverage(simulation, arguments.simulations, arguments.resamples)
        figures[name] = {"coverage": share, "width": width}
        if not arguments.json:
            print(f"{share:.3f}  width {width:.4f}  {name}", flush=True)
    if arguments.json:
        print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
