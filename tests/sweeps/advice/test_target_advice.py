import numpy as np
import pytest

from sweeps.advice.advice import advise
from sweeps.advice.question import Question
from sweeps.answer.crossings import reaching
from sweeps.report.phrases import rounded_up
from tests.sweeps.answer.sweep_scores import (
    GENERAL,
    GRID,
    PASSES,
    SOONER,
    crossing_of,
    evidence_of,
    rows_of,
    sweep_of,
)
from tests.sweeps.example_sweep import example_spec

EIGHT = example_spec(sizes=GRID, seeds=tuple(range(8)))


def advice_for(table, spec=EIGHT, **question):
    found = advise(evidence_of(spec, rows_of(table)), Question(**question))
    return found, "\n".join(found.lines)


def test_a_target_is_collected_for_by_the_regime_that_needs_least_text():
    _, text = advice_for(SOONER, target=0.85)
    found = {r: crossing_of(SOONER, reaching(r, 0.85)) for r in ("domain", "ulm+domain")}
    assert found["domain"].interval.high < found["ulm+domain"].interval.high
    assert "Target 85 %: on average over seeds `domain` reaches it" in text
    enough = rounded_up(found["domain"].for_one_run)
    said = f"one run of `domain` does from {enough} documents on, with a probability of 97.5 %"
    assert f"{said}: collect {enough}." in text


def level(around, *means, regime="ulm+domain"):
    """A regime's means at the sizes of the grid, its seeds around them, the same at each."""
    around = np.asarray(around)
    return {(regime, size): mean + around for size, mean in zip(GRID, means, strict=True)}


STEADY, UNSTEADY = 0.0016 * np.array([1, -1] * 4), 0.012 * np.array([1, -1] * 4)


def test_one_run_is_advised_by_the_regime_that_needs_least_text_for_it():
    """Whose mean reaches it first scatters too much."""
    means = (0.80, 0.865, 0.868, 0.87)
    table = level(UNSTEADY, *means, regime="domain") | level(STEADY, 0.80, 0.84, 0.865, 0.88)
    crossing = crossing_of(table, reaching("ulm+domain", 0.85))
    _, text = advice_for(table, target=0.85)
    assert text.startswith("Target 85 %: on average over seeds `domain` reaches it from about")
    assert f"one run of `ulm+domain` does from {rounded_up(crossing.for_one_run)} documents" in text


@pytest.mark.parametrize("means", [(0.80, 0.865, 0.868, 0.87), (0.848, 0.865, 0.868, 0.87)])
def test_where_no_size_is_surely_enough_for_one_run_none_is_advised(means):
    table = level(UNSTEADY, *means)
    crossing = crossing_of(table, reaching("ulm+domain", 0.85))
    assert crossing.for_one_run == np.inf
    _, text = advice_for(table, target=0.85)
    assert "; for one run no measured size is surely enough: where that counts, add seeds" in text
    assert "collect" not in text.splitlines()[0]


def test_what_is_to_be_collected_for_one_run_is_a_measured_size_or_rounded_up_within_them():
    sizes = (749, 2000, 30450)
    for means, enough in (((0.86, 0.87, 0.88), "749"), ((0.80, 0.82, 0.8512), "30,450")):
        table = {("ulm+domain", n): m + STEADY / 4 for n, m in zip(sizes, means, strict=True)}
        _, text = advice_for(table, spec=example_spec(sizes=sizes, seeds=EIGHT.seeds), target=0.85)
        assert f"does from {enough} documents on" in text


def test_a_regime_without_domain_text_may_be_enough_for_the_mean_and_not_for_one_run():
    ulm = {("ulm", None): 0.856 + UNSTEADY / 3}
    table = ulm | level(STEADY, 0.80, 0.84, 0.865, 0.88)
    _, text = advice_for(table, target=0.85)
    assert "reached without domain text, by `ulm` with 85.6 %" in text
    assert "; one run of `ulm+domain` does from" in text
    table["ulm", None] = 0.88 + STEADY
    _, text = advice_for(table, target=0.85)
    assert "; one run of `ulm` reaches it too, with a probability of 97.5 %." in text


def test_a_target_that_is_reached_without_domain_text_asks_for_none():
    found, text = advice_for(GENERAL, target=0.84)
    assert "Target 84 %: reached without domain text, by `ulm` with 8" in text
    assert "collect" not in text.splitlines()[0]
    assert found.wanted.sizes == ()


def test_a_target_that_no_regime_reaches_is_asked_of_the_one_that_scores_highest():
    _, text = advice_for(PASSES, target=0.93)
    assert "Target 93 %: not reached within 32,000 documents; extrapolated `domain` needs" in text


def test_a_target_beyond_the_largest_size_is_never_said_to_need_less():
    """By forms alone 7,600 documents might do, which the largest size surely does not."""
    sizes, rng = (500, 1000, 2000, 4000, 8000), np.random.default_rng(0)
    for _ in range(13):  # the last of these tables
        shared = rng.normal(0, 0.008, 5)
        means = 0.94 - 1.2 * np.array(sizes) ** -0.35
        table = {
            ("ulm+domain", size): mean + shared + rng.normal(0, 0.008, 5)
            for size, mean in zip(sizes, means, strict=True)
        }
    _, text = advice_for(table, spec=example_spec(sizes=sizes, seeds=tuple(range(5))), target=0.9)
    assert "not reached within 8,000 documents; extrapolated `ulm+domain` needs more than" in text


def test_a_target_that_the_smallest_size_may_have_is_collected_for_up_to_where_it_is_sure():
    table = sweep_of(bow=0.79, ulm=0.80, both=(0.848, 0.856, 0.868, 0.88), scatter=0.004)
    crossing = crossing_of(table, reaching("ulm+domain", 0.85))
    assert (crossing.interval.low, crossing.ends_above) == (0, True)
    safe = rounded_up(crossing.interval.high)
    found, text = advice_for(table, target=0.85)
    assert f"surely reaches it from {safe} documents on, perhaps from 500" in text
    assert f"collect {rounded_up(crossing.for_one_run)}." in text
    assert found.wanted.num_seeds == 10


def test_a_regime_that_one_seed_has_does_not_answer_where_another_has_more():
    table = {point: values[:1] for point, values in SOONER.items() if point[0] == "domain"}
    rows = rows_of({**SOONER, **table})
    hits = {row.cell: np.arange(4000) < round(4000 * row.test_accuracy) for row in rows}
    lines = advise(evidence_of(EIGHT, rows, hits), Question(target=0.85)).lines
    assert lines[0].startswith("Target 85 %: on average over seeds `ulm+domain` reaches it")


@pytest.mark.parametrize("documents", [7.2, 94.2, 400, 999, 2638, 6409.7])
def test_what_is_to_be_collected_is_never_rounded_down(documents):
    said = float(rounded_up(documents).replace(",", ""))
    assert documents <= said <= 1.11 * documents + 1


def test_one_seed_reaches_no_target_and_promises_no_score_whatever_its_test_documents_say():
    spec = example_spec(sizes=GRID, seeds=(0,))
    rows = rows_of({point: values[:1] for point, values in GENERAL.items()})
    hits = {row.cell: np.arange(4000) < round(4000 * row.test_accuracy) for row in rows}
    question = Question(target=0.7, budget_documents=4000)
    text = "\n".join(advise(evidence_of(spec, rows, hits), question).lines)
    assert "Target 70 %: no answer, 1 seed shows no spread" in text
    assert "4,000 documents: no answer, one seed shows no spread" in text
