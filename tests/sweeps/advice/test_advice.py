import re
from dataclasses import replace

import numpy as np
import pytest

from sweeps.advice.advice import advise
from sweeps.advice.question import Question
from sweeps.advice.wanted import (
    Wanted,
    extended,
    spec_text,
    wanted_sizes,
    write_spec,
)
from sweeps.answer.estimates import Interval
from sweeps.answer.spread import make_spread
from sweeps.errors import QuestionError
from sweeps.report.headline import headline, over_bow
from sweeps.report.phrases import rounded, span
from sweeps.spec.cells import make_cells
from sweeps.spec.load import load_spec
from tests.sweeps.answer.sweep_scores import (
    GENERAL,
    GRID,
    PASSES,
    SOONER,
    TOO_SHORT,
    evidence_of,
    findings_of,
    rows_of,
    sweep_of,
)
from tests.sweeps.example_sweep import example_spec

SIZES = (100, 200, 400, 800, 1600)
SPEC = example_spec(sizes=SIZES, seeds=(0, 1, 2))
MEANS = dict(zip(SIZES, (0.76, 0.81, 0.85, 0.870, 0.871), strict=True))
AROUND = np.array([0.001, -0.001, 0.0])


def table_of(means, around=AROUND, bow=0.83):
    return {
        ("bow", None): bow + around,
        ("ulm", None): 0.74 + around[::-1],
        **{("ulm+domain", size): mean + around for size, mean in means.items()},
    }


TABLE = table_of(MEANS)


def headline_of(table, spec=SPEC):
    rows = rows_of(table)
    return headline(spec, findings_of(spec, rows))


def advice_for(table, spec=SPEC, panels=(), **question):
    found = advise(evidence_of(spec, rows_of(table), panels=panels), Question(**question))
    return found, "\n".join(found.lines)


def test_the_headline_says_what_the_data_support_in_one_sentence():
    text = headline_of(TABLE)
    first, share, enough, below = text.split("; ")
    assert first.startswith("With 100 labels, `ulm+domain` passes 85 % from 400 documents (95 %: ")
    assert share.startswith("three quarters of what 1,600 documents add needs 330 of them (95 %: ")
    assert enough == (
        "beyond 800 more text buys `ulm+domain` less than half a point per doubling (measured to "
        "1,600)"
    )
    assert below.startswith("below 280 documents (95 %: ")
    assert below.endswith(") use TF-IDF.")


def test_each_clause_is_left_out_where_its_interval_does_not_support_it():
    own = {
        p: np.roll([0.03, -0.05, 0.02], i) + np.mean(v) for i, (p, v) in enumerate(TABLE.items())
    }
    assert headline_of(own).startswith("With 100 labels, `ulm+domain` with 1,600 documents is 4.1 ")
    assert headline_of(own).endswith("; from how many on it pays 3 seeds do not tell.")
    doubtful = {**own, ("bow", None): (0.7, 0.9, 0.85), ("ulm", None): (0.7, 0.95, 0.9)}
    assert headline_of(doubtful).startswith(
        "With 100 labels, 3 seeds do not tell whether `ulm+domain` with 1,600 documents is above "
    )
    growing = headline_of(table_of({n: 0.7 + 0.04 * k for k, n in enumerate(SIZES)}))
    assert "less than half a point" not in growing
    above = headline_of(table_of(MEANS, bow=0.7))
    assert "use TF-IDF" not in above


def test_where_every_size_is_below_bow_the_headline_says_so():
    text = headline_of(table_of(MEANS, bow=0.95))
    assert text.endswith("; up to 1,600 documents use TF-IDF.")


def test_a_gain_below_the_bag_of_words_is_not_praised_without_saying_so():
    noisy = {**table_of(MEANS), ("bow", None): (0.80, 0.95, 0.99)}
    last = headline_of(noisy).split("; ")[-1]
    assert last.startswith("3 seeds do not tell whether `ulm+domain` with 1,600 documents is above")
    value, low, high = (float(found) for found in re.findall(r"[-+]\d+\.\d", last))
    assert value == pytest.approx(100 * (0.871 - 2.74 / 3), abs=0.06)
    assert low < value < 0 < high


def test_one_seed_has_no_headline():
    assert headline_of({point: values[:1] for point, values in TABLE.items()}) is None
    assert headline_of({("bow", None): (0.8, 0.8)}) is None


@pytest.mark.parametrize(
    ("documents", "text"), [(2638, "2,600"), (94.2, "94"), (999, "1,000"), (5, "5")]
)
def test_documents_are_said_in_two_digits(documents, text):
    assert rounded(documents) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (1900, 3700, "1,900–3,700"),
        (0, 400, "below 400"),
        (900, float("inf"), "900 or more"),
        (0, float("inf"), "anywhere"),
    ],
)
def test_open_ends_are_said_in_words(low, high, text):
    assert span(Interval(low=low, high=high)) == text


def test_a_target_within_the_measured_sizes_is_answered_with_its_interval():
    found, text = advice_for(TABLE, target=0.85)
    assert "Target 85 %: on average over seeds `ulm+domain` reaches it from about 40" in text
    assert "collect " in text
    assert found.wanted.sizes == ()


def test_a_target_beyond_them_is_a_range_over_forms_and_a_size_to_measure():
    growing = {n: 1 - 2 * n**-0.5 for n in SIZES}
    found, text = advice_for(table_of(growing), target=0.96)
    assert "not reached within 1,600 documents; extrapolated `ulm+domain` needs " in text
    assert "power law with floor" in text
    assert "measure a larger size" in text
    assert found.wanted.sizes == (3200,)


def test_a_curve_that_falls_is_not_extrapolated_to_a_target_and_the_reason_is_said():
    falling = {n: 0.80 - 0.01 * k for k, n in enumerate(SIZES)}
    found, text = advice_for(table_of(falling), target=0.9, budget_documents=3200)
    reason = "its largest size scores no more than its smallest"
    assert (
        "not reached within 1,600 documents, and the curve of `ulm+domain` is not extrapolated: "
        f"{reason}" in text
    )
    assert "3,200 documents: no answer, it lies beyond the measured sizes" in text
    assert "should score" not in text
    assert found.wanted.sizes == (3200,)


def test_a_target_that_no_form_reaches_is_not_worth_more_text():
    found, text = advice_for(TABLE, target=0.97)
    assert "by one form alone of `ulm+domain` not within 6,400 either" in text
    assert found.wanted.sizes == ()


def test_seeds_that_cannot_say_where_the_target_is_passed_ask_for_more():
    noisy = table_of(MEANS, around=np.array([0.02, -0.03, 0.01]))
    found, text = advice_for(noisy, target=0.87)
    assert "3 seeds cannot say where; add seeds" in text
    assert found.wanted.num_seeds > 3


def test_one_seed_gives_no_answer_but_the_cells_to_add():
    one = {point: values[:1] for point, values in TABLE.items()}
    found, text = advice_for(one, spec=example_spec(sizes=SIZES, seeds=(0,)), target=0.85)
    assert "Target 85 %: no answer, 1 seed shows no spread" in text
    assert found.wanted.num_seeds == 3


def test_three_sizes_do_not_allow_forms_with_a_floor():
    spec = example_spec(seeds=(0, 1, 2))
    short = {n: 0.7 + 0.02 * k for k, n in enumerate(spec.sizes)}
    found, text = advice_for(table_of(short, bow=0.7), spec=spec, target=0.75)
    assert "not reached within 1,600 documents; extrapolated `ulm+domain` needs " in text
    assert "floor" not in text
    assert found.wanted.sizes == (3200,)


def test_a_budget_is_priced_by_the_point_of_accuracy():
    growing = {n: 1 - 2 * n**-0.5 for n in SIZES}
    _, text = advice_for(table_of(growing), budget_documents=3200, price_per_document=0.5)
    assert "3,200 documents: `ulm+domain` should score " in text
    assert "(extrapolated by 2 forms, or it levels off)" in text
    assert "For that 1,600 documents cost 800.00: " in text


def test_a_point_is_as_cheap_as_the_highest_gain_and_as_dear_as_the_lowest():
    own = {p: np.roll(4 * AROUND, i) + np.mean(v) for i, (p, v) in enumerate(TABLE.items())}
    _, text = advice_for(own, budget_documents=200, price_per_document=0.5)
    low, high = map(float, re.search(r"\+(\S+) to \+(\S+) points against 100 ", text).groups())
    cheap, dear = map(float, re.search(r"50\.00: (\S+) to (\S+) a point", text).groups())
    assert 0 < low < high
    assert cheap == pytest.approx(50 / high, rel=0.05)
    assert dear == pytest.approx(50 / low, rel=0.05)


def test_accelerator_hours_are_paid_for_beside_documents():
    rows = [replace(row, accelerator_seconds=7200.0) for row in rows_of(TABLE)]
    prices = {"price_per_document": 0.5, "price_per_gpu_hour": 3.0}
    found = advise(evidence_of(SPEC, rows), Question(budget_documents=200, **prices))
    text = "\n".join(found.lines)
    assert "For that 100 documents cost 50.00 and 2 accelerator hours a cell cost 6.00: " in text
    (high,) = re.findall(r"to \+(\S+) points against 100 ", text)
    (cheap,) = re.findall(r"6\.00: (\S+) to ", text)
    assert float(cheap) == pytest.approx(56 / float(high), rel=0.05)


def test_a_budget_within_the_measured_sizes_is_read_off_the_curve():
    _, text = advice_for(TABLE, budget_documents=300)
    assert "300 documents: `ulm+domain` should score 83.1 % to 83.6 % on average over" in text
    assert "against 200 documents" in text


def test_a_budget_far_beyond_the_measured_sizes_is_not_answered():
    found, text = advice_for(TABLE, budget_documents=100_000)
    assert "100,000 documents: no answer, it is more than four times the largest" in text
    assert found.wanted.sizes == (3200,)
    _, text = advice_for(TABLE, budget_documents=50)
    assert "50 documents: no answer, the smallest measured size is 100" in text


def test_when_to_stop_is_said_only_where_the_whole_interval_says_so():
    _, text = advice_for(TABLE)
    assert "Stop at 800 documents" in text
    _, text = advice_for(table_of({n: 0.7 + 0.04 * k for k, n in enumerate(SIZES)}))
    assert "Not yet: from 800 to 1,600 documents a doubling brought `ulm+domain` +4.0" in text


def test_a_curve_that_is_flat_from_the_start_is_not_one_that_has_had_enough():
    flat = table_of(dict.fromkeys(SIZES, 0.8))
    assert "less than half a point" not in headline_of(flat)
    _, text = advice_for(flat)
    assert "a doubling brought `ulm+domain` 0.0 points [0.0, 0.0], and no rise before it" in text


def doubling_of(*values):
    """A curve of one regime over four sizes whose last doubling has these values at its seeds."""
    base = np.full(len(values), 0.845)
    low = {("ulm+domain", n): base - 0.03 * k for n, k in ((100, 2), (200, 1), (400, 0))}
    return {**low, ("ulm+domain", 800): base + np.array(values)}


def test_where_more_text_is_not_worth_it_no_larger_size_is_proposed_that_nobody_asked_for():
    flat = {100: 0.70, 400: 0.870, 1600: 0.871}
    spec = example_spec(sizes=tuple(flat), seeds=(0, 1, 2))
    found, text = advice_for(table_of(flat), spec=spec)
    assert "3,200 documents: no answer" in text
    assert "Stop at 400 documents" in text
    assert found.wanted.sizes == ()
    asked, _ = advice_for(table_of(flat), spec=spec, budget_documents=4000)
    assert asked.wanted.sizes == (3200,)


def test_a_size_between_measured_ones_is_said_to_be_read_off():
    _, text = advice_for(TABLE, budget_documents=300)
    assert "on average over seeds (95 %, read off between measured sizes)" in text
    _, text = advice_for(TABLE, budget_documents=400)
    assert "on average over seeds (95 %), " in text


def test_seeds_that_only_the_bag_of_words_has_do_not_make_advice_surer():
    table = {point: tuple(values) for point, values in TABLE.items()}
    table |= {point: values[:2] for point, values in table.items() if point[0] != "bow"}
    _, text = advice_for(table)
    assert "2 seeds of `ulm+domain`: intervals rest on 1 degree of freedom" in text


def test_one_early_cell_does_not_take_the_answer_from_a_regime_with_more():
    table = {(regime.replace("ulm+domain", "domain"), n): v for (regime, n), v in TABLE.items()}
    alone = headline_of(table)
    assert "`domain` passes 85 %" in alone
    assert headline_of({**table, ("ulm+domain", 100): (0.78,)}) == alone


def test_seeds_that_tie_are_known_to_one_test_document():
    spec = example_spec(sizes=(100, 1600), seeds=(0, 1))
    table = {("ulm+domain", 100): (0.70, 0.70), ("ulm+domain", 1600): (0.90, 0.90)}
    rows = [replace(row, test_documents=1000) for row in rows_of(table)]
    (point,) = [p for p in findings_of(spec, rows).curves if p.size == 1600]
    half = 12.7062 * 0.001 / 2**0.5  # Student's t, one degree of freedom
    np.testing.assert_allclose(point.accuracy.interval.high - 0.90, half, rtol=1e-4)
    assert point.one_run.high > point.accuracy.interval.high
    text = "\n".join(advise(evidence_of(spec, rows), Question(target=0.8)).lines)
    ends = re.search(r"from about 400 documents \(95 %: (\d+)–(\d+)", text)
    assert int(ends[1]) < 400 < int(ends[2])


def test_a_last_doubling_that_may_bring_half_a_point_asks_for_the_fewest_seeds_that_decide():
    sizes, scatter = (100, 200, 400, 800), 0.0025
    found, text = advice_for(
        doubling_of(0.001 - scatter, 0.001, 0.001 + scatter),
        spec=example_spec(sizes=sizes, seeds=(0, 1, 2)),
    )
    distance = 0.004  # from 0.1 points to half a point
    assert (
        "+0.1 points [-0.5, +0.7], which holds half a point; 5 seeds in all would decide with a "
        "chance of 80 %, if these tell value and scatter."
    ) in text
    assert found.wanted.num_seeds == 5
    quantiles = {4: 3.182446, 5: 2.776445}  # of Student's t
    four, five = (
        quantile * scatter / n**0.5 + 0.841621 * scatter * (n - 3) ** 0.5 / n
        for n, quantile in quantiles.items()
    )
    assert five < distance < four


def test_an_interval_that_is_narrow_beside_half_a_point_is_not_asked_to_be_half_a_point_wide():
    """Its half width is less, but its middle is nearer to half a point than that."""
    values = 0.0045 + 0.002 * np.array([1, -1, 1, -1, 0.5, -0.5])
    spec = example_spec(sizes=(100, 200, 400, 800), seeds=tuple(range(6)))
    found, text = advice_for(doubling_of(*values), spec=spec)
    assert "which holds half a point; more than 29 seeds would be needed to decide." in text
    assert found.wanted.num_seeds <= 6


def test_an_interval_that_test_documents_make_wide_asks_for_these_and_not_for_seeds():
    rng, sizes = np.random.default_rng(0), (100, 200, 400, 800)
    spec = example_spec(sizes=sizes, seeds=(0, 1, 2))
    table, hits = {}, {}
    for size, share in zip(sizes, (0.80, 0.83, 0.845, 0.85), strict=True):
        difficulty = rng.permutation(1000)  # of this size, the same at every seed
        for seed in spec.seeds:
            hit = difficulty < 1000 * share + rng.integers(-1, 2)
            hits[f"ulm+domain-{size}-{seed}"] = hit
            table.setdefault(("ulm+domain", size), []).append(hit.mean())
    found = advise(evidence_of(spec, rows_of(table), hits), Question())
    text = "\n".join(found.lines)
    assert "which holds half a point; more test documents are needed" in text
    assert found.wanted.num_seeds <= 3


def lead_of(*gaps):
    """`domain` at one size above `ulm+domain` by so much at each seed."""
    base = np.full(len(gaps), 0.8)
    return {("ulm+domain", 100): base, ("domain", 100): base + np.array(gaps)}


def test_seeds_to_decide_who_is_first_are_as_many_as_the_claim_needs():
    spec = example_spec(sizes=(100,), seeds=(0, 1, 2, 3))
    found, text = advice_for(lead_of(0.01, 0.01, 0.02, 0.02), spec=spec)
    assert "is not a claim: +1.5 points" in text
    assert "2 more seeds that went as these would make it one, with a chance of 95 %" in text
    assert found.wanted.num_seeds == 6


def test_seeds_that_would_not_make_a_claim_are_not_asked_for():
    spec = example_spec(sizes=(100,), seeds=(0, 1, 2, 3))
    found, text = advice_for(lead_of(0.01, 0.02, 0.01, -0.01), spec=spec)
    assert "is not a claim: +0.8 points" in text
    assert "it would take 45 of them: choose by cost" in text
    assert found.wanted.num_seeds == 0


def test_a_lead_that_one_seed_makes_is_not_a_claim_and_more_seeds_are_not_asked_for():
    spec = example_spec(sizes=(100,), seeds=tuple(range(12)))
    for gaps in ((0.25, *(-0.002,) * 11), (0.25, -0.002, 0.001, -0.002, -0.001)):
        found, text = advice_for(lead_of(*gaps), spec=spec)
        assert "Who is first at 100 documents is not a claim: +" in text
        assert "`domain` is ahead on average, and below `ulm+domain` at more seeds" in text
        assert found.wanted.num_seeds == 0


def test_the_miss_of_every_form_has_its_interval():
    _, text = advice_for(TABLE)
    misses = re.findall(r"misses them by (.*)", text)
    assert len(misses) == 4
    for miss in misses:
        assert re.match(r"[-+]?\d+\.\d points \[[-+]?\d+\.\d, [-+]?\d+\.\d\](; not used)?\.", miss)


def test_a_search_that_was_too_short_is_named():
    _, text = advice_for(TABLE, panels=(TOO_SHORT,))
    assert "The last trial of the search still brought a gain for `domain` (classifier)" in text


def test_a_sweep_without_a_finished_size_has_no_advice_yet():
    found, text = advice_for({("bow", None): (0.8, 0.8)})
    assert text.startswith("No advice yet")
    assert found.wanted == Wanted()


@pytest.mark.parametrize("target", [0.0, 1.0, 1.5, -0.1, 0.5, float("nan")])
def test_a_target_that_cannot_be_is_refused(target):
    with pytest.raises(QuestionError, match="--target must be"):
        Question(target=target, chance=0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget_documents": 0}, "--budget-documents must be at least 1, found 0"),
        ({"price_per_document": -1.0}, "--price-per-document must be money"),
        ({"price_per_gpu_hour": float("nan")}, "--price-per-gpu-hour must be money"),
    ],
)
def test_an_impossible_option_is_refused(options, message):
    with pytest.raises(QuestionError, match=message):
        Question(**options)


def test_an_emitted_spec_loads_and_differs_in_nothing_else(tmp_path):
    wanted = Wanted(num_seeds=5, sizes=(3200,))
    write_spec(SPEC, wanted, tmp_path / "more.yaml")
    loaded = load_spec(tmp_path / "more.yaml")
    assert loaded == extended(SPEC, wanted)
    assert loaded.seeds == (0, 1, 2, 3, 4)
    assert loaded.sizes == (*SIZES, 3200)
    assert {cell.id for cell in make_cells(SPEC)} < {cell.id for cell in make_cells(loaded)}
    assert spec_text(SPEC, wanted).startswith("# Written by `sweep advise`: the sweep example, 5 ")


def test_new_seeds_are_those_that_are_free():
    spec = example_spec(seeds=(0, 7))
    assert extended(spec, Wanted(num_seeds=4)).seeds == (0, 7, 1, 2)


def test_seeds_that_would_not_decide_are_not_proposed():
    noisy = {p: np.roll([0.1, -0.2, 0.1], i) + np.mean(v) for i, (p, v) in enumerate(TABLE.items())}
    found, text = advice_for(noisy)
    assert "more than 29 seeds would be needed to decide" in text
    assert found.wanted.num_seeds < 29


@pytest.mark.parametrize("num_seeds", [2, 3, 6])
def test_seeds_shrink_their_part_of_an_interval_and_documents_keep_theirs(num_seeds):
    rng = np.random.default_rng(0)
    hits = rng.random((1, 12, 1)) + rng.random((1, 1, 400)) + rng.random((1, 12, 400)) > 0.8
    few = make_spread(hits[:, :num_seeds].mean(axis=2), hits[:, :num_seeds])
    many = few.with_seeds(12)
    assert many.num_seeds == 12
    assert many.seeds == pytest.approx(few.seeds * num_seeds / 12)
    assert many.documents == few.documents
    assert many.single == few.single


def test_a_larger_size_stays_within_the_pool_and_the_budget():
    assert wanted_sizes(SPEC, None).sizes == (3200,)
    assert wanted_sizes(SPEC, 2000).sizes == (2000,)
    assert wanted_sizes(SPEC, 1000).sizes == ()
    full = example_spec(sizes=(100, 6000))
    assert wanted_sizes(full, 6000).sizes == (775,)


def test_no_size_beyond_the_recorded_text_is_added_and_it_is_said_that_text_must_be_collected():
    growing = table_of({n: 1 - 2 * n**-0.5 for n in SIZES})
    found, text = advice_for(growing, target=0.96, pool_documents=2000)
    assert found.wanted.sizes == (2000,)
    assert "corpus has 2,000 documents for training: what lies beyond must be collected" in text
    assert "needs a new name" in text
    found, text = advice_for(growing, target=0.96, budget_documents=3000, pool_documents=1600)
    assert found.wanted.sizes == ()
    _, text = advice_for(growing, target=0.96, pool_documents=75_000)
    assert "must be collected" not in text


EIGHT = example_spec(sizes=GRID, seeds=tuple(range(8)))
RISING_LATE = sweep_of(
    num_seeds=5, scatter=0.001, bow=0.817, ulm=0.78, both=(0.80, 0.855, 0.848, 0.867)
)


def test_tf_idf_is_passed_in_the_words_of_the_headline():
    dips = sweep_of(bow=0.817, ulm=0.78, both=(0.83, 0.80, 0.84, 0.87))
    for table in (PASSES, GENERAL, SOONER, dips):
        findings = findings_of(EIGHT, rows_of(table))
        clauses = over_bow(findings, findings.lead)
        lines = advice_for(table, spec=EIGHT)[0].lines
        assert "; ".join(clauses)[1:] + "." in [line[1:] for line in lines]


def test_text_is_not_enough_where_a_later_doubling_surely_brings_half_a_point():
    spec = example_spec(sizes=GRID, seeds=tuple(range(5)))
    lead = findings_of(spec, rows_of(RISING_LATE)).lead
    (whole,) = (d for d in lead.stretches if (d.start, d.end) == (2000, 32_000))
    assert whole.is_below(0.005), "on average from 2,000 on"
    assert lead.enough_from(0.005) is None
    _, text = advice_for(RISING_LATE, spec=spec)
    assert "Stop at" not in text
    assert "Not yet: from 8,000 to 32,000 documents a doubling brought" in text


def test_a_drop_at_the_end_does_not_hide_what_was_gained_before_it():
    drops = sweep_of(bow=0.70, ulm=0.75, both=(0.76, 0.82, 0.85, 0.82))
    assert "; beyond 8,000 more text buys `ulm+domain` less than half" in headline_of(drops, EIGHT)
    _, text = advice_for(drops, spec=EIGHT)
    assert "Stop at 8,000 documents: from there to 32,000" in text


def test_a_last_doubling_that_surely_brings_little_does_not_ask_for_seeds():
    own = np.array([0.0, 0.001, -0.001])
    table = {
        ("bow", None): 0.79 + own,
        **{
            ("ulm+domain", size): mean + scatter
            for size, mean, scatter in zip(
                GRID,
                (0.80, 0.806, 0.811, 0.815),
                (30 * own[::-1], 30 * own, own, own),
                strict=True,
            )
        },
    }
    found, text = advice_for(table, spec=example_spec(sizes=GRID, seeds=(0, 1, 2)))
    assert "from 8,000 to 32,000 documents a doubling brought `ulm+domain` +0.2 points" in text
    assert "no rise before it is sure" in text
    assert "holds half a point" not in text
    assert found.wanted.sizes == (64_000,)


def test_a_leader_that_is_surely_ahead_on_average_is_not_called_equal():
    spec = example_spec(sizes=(100,), seeds=tuple(range(12)))
    _, text = advice_for(lead_of(*(0.02 + 0.0004 * k for k in range(9)), *(-0.003,) * 3), spec=spec)
    assert "(above in 9 of 12 seeds)" in text
    assert "`domain` is ahead on average, but not at every seed" in text
    assert "choose by cost" not in text


def test_a_budget_below_the_smallest_size_is_a_size_to_measure_where_the_labels_fit():
    found, _ = advice_for(GENERAL, spec=EIGHT, budget_documents=300)
    assert 300 in found.wanted.sizes
    found, _ = advice_for(GENERAL, spec=EIGHT, budget_documents=EIGHT.labels.train - 1)
    assert found.wanted.sizes == ()


def test_an_extrapolation_says_how_many_forms_it_rests_on():
    _, text = advice_for(SOONER, spec=EIGHT, target=0.93)
    num_used = len(re.findall(r"misses them by [^;]*?\]\.", text))
    _, whole = advice_for(PASSES, spec=EIGHT)
    assert "extrapolated by 4 forms" in whole
    assert num_used < 4
    forms = "one form alone" if num_used == 1 else f"{num_used} forms"
    assert f"(extrapolated by {forms}, or it levels off)" in text


def test_labels_are_said_to_be_counted_in_the_documents():
    _, text = advice_for(TABLE, spec=SPEC)
    assert f"your {SPEC.labels.train} labelled ones included" in text


def test_two_sizes_want_a_larger_one_and_one_between_and_three_the_larger_one_alone():
    two, three = example_spec(sizes=(100, 1600)), example_spec(sizes=(100, 200, 1600))
    assert wanted_sizes(two, None).sizes == (400, 3200)
    assert wanted_sizes(two, 1600).sizes == (400,)
    assert wanted_sizes(three, None).sizes == (3200,)
    assert wanted_sizes(three, 1600).sizes == (566,), "no larger one is to be had: the widest gap"
    assert wanted_sizes(three, 2000).sizes == (2000,)
