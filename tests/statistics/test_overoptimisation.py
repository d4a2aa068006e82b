"""Laws of gain against distance: the closed form is scipy's optimum; peaks are seen or not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares as optimum
from scipy.optimize import minimize_scalar

from truing.statistics.overoptimisation import (
    FORMS,
    LEAST_POINTS,
    Fit,
    Floats,
    Form,
    Points,
    fit,
    least_squares,
)
from truing.types import Estimate, Unscored

QUESTIONS = 40
IDS = [form.name for form in FORMS]


def points_of(distance: Floats, gain: Floats, noise: float, seed: int = 0) -> Points:
    """Each question's gain is the mean with noise of its own; questions are redrawn."""
    generator = np.random.default_rng(seed)
    gain_QP = gain + generator.normal(0, noise, (QUESTIONS, len(gain)))
    weight_RQ = generator.multinomial(QUESTIONS, np.full(QUESTIONS, 1 / QUESTIONS), 400)
    redrawn = weight_RQ @ gain_QP / QUESTIONS
    return Points(distance, gain_QP.mean(0), np.tile(distance, (400, 1)), redrawn)


@pytest.mark.parametrize("form", FORMS, ids=IDS)
@pytest.mark.parametrize("seed", range(5))
def test_the_closed_form_is_scipys_optimum(form: Form, seed: int) -> None:
    generator = np.random.default_rng(seed)
    distance = generator.uniform(0, 4, 9)
    gain = form(distance, 0.8, 0.3) + generator.normal(0, 0.2, 9)
    a, b = least_squares(form, distance, gain)
    best = optimum(lambda p: form(distance, p[0], p[1]) - gain, [0.0, 0.0], xtol=1e-14, gtol=1e-14)
    assert np.allclose((a, b), best.x, atol=1e-6, rtol=0)


@pytest.mark.parametrize("form", FORMS, ids=IDS)
def test_the_peak_is_where_the_law_is_largest(form: Form) -> None:
    highest = minimize_scalar(
        lambda d: -form(np.array(d), 0.9, 0.4), bounds=(0, 20), method="bounded",
        options={"xatol": 1e-9},
    )  # fmt: skip
    assert form.peak(np.array(0.9), np.array(0.4)) == pytest.approx(highest.x, abs=1e-6)
    assert form(np.array([0.0]), 0.9, 0.4) == 0.0


@pytest.mark.parametrize("form", FORMS, ids=IDS)
def test_a_peak_among_the_points_is_seen_and_its_interval_holds_it(form: Form) -> None:
    distance = np.linspace(0, 4, 12)
    found = fit(form, points_of(distance, form(distance, 0.8, 0.4), 0.1))
    assert isinstance(found, Fit) and isinstance(found.peak, Estimate)
    true = float(form.peak(np.array(0.8), np.array(0.4)))
    assert found.peak.low is not None and found.peak.high is not None
    assert found.peak.low < true < found.peak.high
    low, high = found.band(distance[1:])
    assert np.all(low <= found.at(distance[1:])) and np.all(found.at(distance[1:]) <= high)
    assert (
        np.mean((low < form(distance[1:], 0.8, 0.4)) & (form(distance[1:], 0.8, 0.4) < high)) > 0.8
    )


@pytest.mark.parametrize(
    ("a", "b", "noise", "reason"),
    [
        (0.8, 0.05, 0.01, "outside what was measured"),  # its peak is at 8, the points end at 3
        (0.2, 0.0, 0.3, "within noise"),
        (0.2, -0.2, 0.01, "bends upwards"),
    ],
)
def test_a_peak_that_was_not_seen_is_a_result(
    a: float, b: float, noise: float, reason: str
) -> None:
    form, distance = FORMS[0], np.linspace(0, 3, 8)
    found = fit(form, points_of(distance, form(distance, a, b), noise))
    assert isinstance(found, Fit) and isinstance(found.peak, Unscored)
    assert found.peak.reason.startswith("no peak seen") and reason in found.peak.reason
    assert found.to_json()["peak"] == {"unscored": found.peak.reason}


def test_a_proxy_that_only_rises_has_no_peak_nearly_always() -> None:
    form, distance = FORMS[1], np.linspace(0, 3, 8)
    fits = [fit(form, points_of(distance, 0.5 * distance, 0.5, seed)) for seed in range(60)]
    seen = [f for f in fits if isinstance(f, Fit) and isinstance(f.peak, Estimate)]
    assert len(seen) <= 6  # one side of a 95 % interval, over points that have to hold it


@pytest.mark.parametrize(
    ("distance", "reason"),
    [
        ([0.0, 1.0, 2.0, 3.0], f"3 points away from the start; a law needs {LEAST_POINTS}"),
        ([0.0, 1.0, 1.0, 1.0, 1.0], "all points are at one distance"),
    ],
)
def test_what_no_law_can_be_fitted_to_says_so(distance: list[float], reason: str) -> None:
    places = np.array(distance)
    found = fit(FORMS[0], points_of(places, places, 0.1))
    assert found == Unscored(reason)
