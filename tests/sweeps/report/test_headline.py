import re

import numpy as np

from sweeps.answer.crossings import passing, reaching
from sweeps.answer.findings import find, make_sweep_scores
from sweeps.report.headline import headline
from sweeps.report.phrases import rounded
from sweeps.report.sentences import answer
from tests.sweeps.answer.sweep_scores import (
    GENERAL,
    GRID,
    PASSES,
    SOONER,
    crossing_of,
    evidence_of,
    findings_of,
    notes_of,
    rows_of,
    sweep_of,
)
from tests.sweeps.example_sweep import example_spec

BOW = ("bow", None)
EIGHT = example_spec(sizes=GRID, seeds=tuple(range(8)))


def headline_of(table, spec=EIGHT):
    return headline(spec, findings_of(spec, rows_of(table)))


def test_where_another_regime_passes_tf_idf_it_is_named_and_tf_idf_is_not_advised():
    text = headline_of(PASSES)
    documents = rounded(crossing_of(PASSES, passing("domain", BOW)).documents)
    assert f"`domain` stays above TF-IDF from {documents} documents on" in text
    assert "`ulm+domain` with 32,000 documents is 1.0 points below TF-IDF" in text
    assert "use TF-IDF" not in text


def test_where_a_regime_without_domain_text_passes_tf_idf_it_is_named_first():
    text = headline_of(GENERAL)
    documents = rounded(crossing_of(GENERAL, passing("ulm+domain", BOW)).documents)
    assert f"; `ulm+domain` stays above TF-IDF from {documents} documents on" in text
    assert text.index("`ulm` without domain text is 3.") < text.index("`ulm+domain` stays above")
    assert "use TF-IDF" not in text


def test_a_regime_that_passes_tf_idf_later_than_the_lead_leaves_tf_idf_below_it():
    text = headline_of(SOONER)
    documents = rounded(crossing_of(SOONER, passing("ulm+domain", BOW)).documents)
    assert re.search(rf"; below {documents} documents \(95 %: [^)]*\) use TF-IDF\.$", text)
    assert "`domain` stays above" not in text


def test_an_accuracy_is_named_with_the_regime_that_reaches_it_with_least_text_as_advise_does():
    documents = rounded(crossing_of(SOONER, reaching("domain", 0.85)).documents)
    assert f"labels, `domain` passes 85 % from {documents} documents (95 %: " in headline_of(SOONER)
    throughout = {point: values for point, values in SOONER.items() if point[0] != "domain"}
    throughout |= sweep_of(domain=(0.86, 0.87, 0.89, 0.91))
    text = headline_of(throughout)
    assert "`domain` is above 85 % at every measured size, from 500 documents on; " in text
    text = headline_of({**SOONER, **sweep_of(ulm=0.865)})
    assert "85 % is reached without domain text, by `ulm` with 86.5 % [86.2, 86.8]; " in text
    assert "passes 85 %" not in text


def test_a_regime_that_passes_tf_idf_sooner_between_the_same_two_sizes_is_named():
    table = sweep_of(
        bow=0.817, domain=(0.79, 0.88, 0.89, 0.90), both=(0.80, 0.8195, 0.86, 0.88), scatter=0.001
    )
    first, later = (
        crossing_of(table, passing(regime, BOW)).documents for regime in ("domain", "ulm+domain")
    )
    assert 500 < first < later < 2000
    text = headline_of(table)
    assert f"`domain` stays above TF-IDF from {rounded(first)} documents on" in text
    assert "use TF-IDF" not in text


def test_a_regime_that_is_above_tf_idf_for_a_while_is_enough_not_to_advise_it():
    falls = sweep_of(bow=0.817, domain=(0.7, 0.85, 0.70, 0.70), both=(0.78, 0.79, 0.80, 0.805))
    text = headline_of(falls)
    assert "use TF-IDF" not in text
    assert "`domain` with 2,000 documents is 3." in text


def test_of_many_equal_points_none_is_named_as_above_tf_idf_by_chance():
    spec, rng = example_spec(sizes=GRID, seeds=(0, 1, 2)), np.random.default_rng(0)
    named = 0
    for _ in range(60):
        shared = 0.82 + rng.normal(0, 0.008, 3)
        points = [(regime, None) for regime in ("bow", "scratch", "ulm")]
        points += [(regime, size) for regime in ("domain", "ulm+domain") for size in GRID]
        table = {point: shared + rng.normal(0, 0.008, 3) for point in points}
        named += "points above TF-IDF" in (headline_of(table, spec) or "")
    assert named <= 4


FLAT = sweep_of(bow=0.70, ulm=0.80, domain=(0.6, 0.65, 0.68, 0.69), both=(0.80,) * 4)


def test_what_is_above_tf_idf_at_every_size_is_said_to_be_with_what_domain_text_adds():
    text = headline_of(FLAT)
    assert "`ulm+domain` is above TF-IDF at every measured size, from 500 documents on" in text
    assert "`ulm` without domain text is 1" in text
    assert "8 seeds do not tell whether `ulm+domain` with 32,000 documents is above `ulm`" in text
    assert "from how many on" not in text


def test_one_size_does_not_tell_from_how_many_on():
    spec = example_spec(sizes=(500,), seeds=tuple(range(8)))
    one = {point: values for point, values in FLAT.items() if point[1] in (None, 500)}
    assert "from how many on it pays one size does not tell" in headline_of(one, spec)


def test_a_curve_that_is_not_above_at_the_start_is_not_said_to_be_below_tf_idf_there():
    dips = sweep_of(bow=0.817, ulm=0.78, both=(0.83, 0.80, 0.84, 0.87))
    text = headline_of(dips)
    crossing = crossing_of(dips, passing("ulm+domain", BOW))
    assert crossing.is_bracketed
    assert not crossing.begins_below
    assert f"`ulm+domain` stays above TF-IDF from {rounded(crossing.documents)} documents" in text
    assert "use TF-IDF" not in text


def test_a_cell_that_is_finished_early_contradicts_no_sentence():
    spec = example_spec(sizes=GRID, seeds=tuple(range(5)))
    table = sweep_of(num_seeds=5, bow=0.80, ulm=0.78, both=(0.79, 0.83, 0.85, 0.86))
    early = table["bow", None][0] - 0.002
    table["ulm+domain", GRID[-1]] = [early, None, None, None, None]
    found = evidence_of(spec, rows_of(table))
    told = " ".join(answer(spec, found.findings, found.rows))
    assert "passes the line of `bow`" in told
    assert "32,000 documents are finished" in told, "the share of the gain waits for it"
    assert found.findings.curve_point("ulm+domain", GRID[-1]).accuracy.value == early, "shown"


def test_the_regime_with_the_fewest_seeds_tells_what_they_allow():
    spec = example_spec(sizes=GRID, seeds=tuple(range(8)))
    table = sweep_of(num_seeds=8, bow=0.80, ulm=0.78, both=(0.79, 0.83, 0.85, 0.86))
    assert not any("fewest" in note for note in notes_of(spec, rows_of(table)))
    for point in table:
        if point[0] == "ulm+domain":
            table[point] = [*table[point][:2], *[None] * 6]
    assert any("with 2 of `ulm+domain`" in note for note in notes_of(spec, rows_of(table)))


def test_what_always_saying_one_class_scores_is_nothing_to_pass():
    table = sweep_of(ulm=0.87, both=(0.88, 0.90, 0.92, 0.935))
    scores = make_sweep_scores(EIGHT, rows_of(table))
    assert "passes 90 %" in headline(EIGHT, find(EIGHT, scores))
    passed = headline(EIGHT, find(EIGHT, scores, chance=0.925))
    assert "`ulm+domain` passes 93 %" in passed
    none = headline(EIGHT, find(EIGHT, scores, chance=0.94))
    assert "`ulm+domain` is at no size above 94.0 %, what always saying one class scores" in none
    assert "passes" not in none
    one = example_spec(sizes=GRID, seeds=(0,))
    scores = make_sweep_scores(one, [row for row in rows_of(table) if row.seed == 0])
    assert headline(one, find(one, scores)) is None
    assert "at no size above 96.0 %" in headline(one, find(one, scores, chance=0.96))
