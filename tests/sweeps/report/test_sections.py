import json
import re
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from sweeps.answer import sources
from sweeps.answer.costs import Cost
from sweeps.answer.estimates import Estimate, Interval
from sweeps.answer.mistakes import find_mistakes
from sweeps.answer.results import make_rows
from sweeps.paths import SweepPaths
from sweeps.report import mistaken, sections
from sweeps.report.blocks import Bullets, Fold, Quote, Table, Text
from sweeps.report.by_size import by_size_section
from sweeps.report.certainty import certainty_section
from sweeps.report.evidence import Evidence
from sweeps.report.growth import beyond_section, growth_section
from sweeps.report.mistaken import mistaken_section
from sweeps.report.money import costs_table, money_section
from sweeps.report.phrases import digits, duration, grouped, plain, plus, signed, with_interval
from sweeps.report.searching import needed_rates, searching_section
from sweeps.report.sections import (
    accuracy_plot,
    accuracy_png,
    answer_section,
    band,
    make_page,
    subtitle,
)
from sweeps.report.sentences import gaps_of
from sweeps.search.spending import Spent
from sweeps.spec.cells import Stage
from sweeps.spec.values import BudgetSpec
from tests.sweeps.answer.sweep_scores import curve, findings_of, rows_of
from tests.sweeps.example_sweep import example_records, example_spec, replayed
from ulm.regimes import Regime
from ulm.text.corpora import CorpusSource, Part
from ulm.text.tokens import prepare_tokens

SPEC = example_spec(sizes=(100, 200, 400, 800, 1600), seeds=(0, 1, 2))
RECORDS = example_records(SPEC)


def gathered(folder, spec=SPEC, records=RECORDS):
    paths = SweepPaths(storage=str(folder), name=spec.name)
    return Evidence.gather(paths, replayed(spec, records))


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    return gathered(tmp_path_factory.mktemp("nothing-kept"))


def every(blocks, kind):
    """All blocks of a kind, folded ones too."""
    found = [block for block in blocks if isinstance(block, kind)]
    for fold in (block for block in blocks if isinstance(block, Fold)):
        found += every(fold.blocks, kind)
    return found


def text_of(section):
    bullets = [item for block in every(section.blocks, Bullets) for item in block.items]
    return " ".join([block.text for block in every(section.blocks, Text)] + bullets)


def test_what_rounds_to_nothing_has_no_sign():
    found = Estimate(value=-0.0004, interval=Interval(low=-0.005, high=-0.0001), num_seeds=2)
    assert with_interval(found) == "0.0 [-0.5, 0.0]"


def test_every_size_has_its_best_regime_with_intervals(evidence):
    (table,) = every(by_size_section(evidence.findings).blocks, Table)
    assert table.header == (
        "documents",
        "best",
        "next",
        "best − next",
        "P(best > next)",
        "best − `bow`",
        "general model",
        "domain text",
    )
    assert [line[0] for line in table.lines] == ["100", "200", "400", "800", "1,600"]
    smallest, largest = table.lines[0], table.lines[-1]
    assert smallest[1:3] == ("`bow`", "`ulm+domain`")
    assert smallest[5] == "–", "`bow` is not compared with itself"
    added = (evidence.findings.pretraining, evidence.findings.domain_text)
    for column, found in zip((6, 7), added, strict=True):
        assert smallest[column] == with_interval(found[0].accuracy)
        assert largest[column] == with_interval(found[-1].accuracy)
    assert largest[1:3] == ("`ulm+domain`", "`bow`")
    assert largest[4] == "0.67 [0.04, 1.00]"
    for cell in (*smallest[6:], largest[3], *largest[5:]):
        assert re.fullmatch(r"\d+\.\d \[-?\d+\.\d, \d+\.\d\]", cell)


def test_a_sweep_without_references_has_no_columns_for_them(tmp_path):
    spec = example_spec(regimes=(Regime.DOMAIN, Regime.SCRATCH))
    section = by_size_section(gathered(tmp_path, spec, example_records(spec)).findings)
    (table,) = every(section.blocks, Table)
    assert table.header == ("documents", "best", "next", "best − next", "P(best > next)")
    alone = example_spec(regimes=(Regime.DOMAIN,))
    assert by_size_section(gathered(tmp_path, alone, example_records(alone)).findings) is None


def test_the_leader_is_compared_with_every_regime_and_its_next_smaller_size(evidence):
    section = certainty_section(evidence)
    (table,) = every(section.blocks, Table)
    assert [line[0] for line in table.lines] == [
        "`bow`",
        "`scratch`",
        "`ulm`",
        "`domain` at 1,600",
        "`ulm+domain` at 800",
    ]
    scratch = table.lines[1]
    assert scratch[2:5] == ("3 of 3", "1.00 [0.17, 1.00]", "5")
    assert scratch[5:] == ("–", "–", "–"), "no predictions, no test"
    assert "McNemar" not in text_of(section)
    assert "(99.0 % for each of 5, 95 % for all together; that of points" in text_of(section)
    assert "8 seeds that agree are the fewest" in text_of(section)
    assert "after Noether, 8 where P is 1.00 and 65 where P is 0.67" in text_of(section)
    assert "Kendall's W = 0.9" in text_of(section)


def test_what_is_a_claim_already_needs_no_more_seeds(tmp_path):
    spec = example_spec(seeds=tuple(range(8)), regimes=(Regime.SCRATCH, Regime.DOMAIN))
    section = certainty_section(gathered(tmp_path, spec, example_records(spec)))
    (table,) = every(section.blocks, Table)
    assert [line[2:5] for line in table.lines] == [("8 of 8", "1.00 [0.58, 1.00]", "enough")] * 2
    assert "Noether" not in text_of(section)


def test_the_section_on_growth_says_where_curves_meet(evidence):
    text = text_of(growth_section(evidence))
    assert "`ulm+domain` passes `bow` at about 1,1" in text
    assert (
        "`domain` does not pass `ulm+domain` within the measured range, up to 1,600 documents "
        "(95 %: from 1,300 on or not at all)."
    ) in text
    assert "75 % of the gain: about 680 domain documents" in text
    shares, _ = every(growth_section(evidence).blocks, Table)
    at_smallest, *_, at_largest = [line[1] for line in shares.lines]
    assert at_smallest == with_interval(evidence.findings.gain.shares[0][1], unit=" %")
    assert at_largest == "100 % (by definition)"


@pytest.mark.parametrize(
    ("domain", "text"),
    [
        ((0.801, 0.76, 0.82), "`domain` passes `ulm+domain` at about 1,000 documents (95 %: 9"),
        (
            (0.82, 0.81, 0.82),
            "`domain` is above `ulm+domain` from the smallest size on, 100 documents "
            "(95 %: at every measured size).",
        ),
        (
            (0.816, 0.796, 0.793),
            "`domain` is above `ulm+domain` at 100 documents, but not at the largest, 1,600 "
            "(95 %: beyond it or not at all).",
        ),
    ],
)
def test_domain_passes_only_where_it_stays_above(evidence, domain, text):
    sizes = (100, 400, 1600)
    spec = example_spec(sizes=sizes, seeds=(0, 1, 2))
    means = dict(zip(sizes, domain, strict=True))
    table = {
        **curve("ulm+domain", dict.fromkeys(sizes, 0.8), (0, 0, 0)),
        **curve("domain", means, (0, 0.001, -0.001)),
    }
    found = replace(evidence, ledger=replayed(spec, ()), findings=findings_of(spec, rows_of(table)))
    assert text in text_of(growth_section(found))


def test_a_sweep_without_the_general_model_is_not_told_of_a_gain_over_it(tmp_path):
    spec = example_spec(regimes=(Regime.BOW, Regime.DOMAIN))
    text = text_of(growth_section(gathered(tmp_path, spec, example_records(spec))))
    assert "gain" not in text
    assert "What a doubling of the domain text brings `domain`" in text


def test_every_form_is_shown_with_its_miss_and_a_refuted_one_is_not_used(evidence):
    section = beyond_section(evidence)
    (table,) = every(section.blocks, Table)
    assert len(table.lines) == 4
    (refuted,) = [line for line in table.lines if line[3] == "not used"]
    assert float(refuted[2].split()[0]) < -1
    assert "At 3,200 documents, twice the largest measured size" in text_of(section)


def test_two_sizes_are_not_extrapolated(tmp_path):
    spec = example_spec(sizes=(100, 400))
    section = beyond_section(gathered(tmp_path, spec, example_records(spec)))
    assert text_of(section).startswith("The curve of `ulm+domain` is not extrapolated: three sizes")


def test_a_point_has_a_price_only_where_something_is_gained(evidence):
    section = money_section(evidence)
    _, worth = every(section.blocks, Table)
    assert [line[0] for line in worth.lines] == ["`ulm+domain` at 1,600"]
    assert "No gain over `bow`: `scratch`, `ulm`, `domain` at 100, 200, 400" in text_of(section)


def test_hours_and_what_was_wasted_of_them_are_told_apart():
    spent = Spent(accelerator_seconds=7200.0, wasted_seconds=360.0)
    counts = {"num_cells": 1, "num_trials": 2, "steps": 3, "tokens": 4, "seconds": 90.0}
    table = costs_table([Cost(name="total", **counts, spent=spent, money=8.0)], "GPU")
    assert table.header[-4:] == ("time, all trials", "GPU hours", "of these wasted", "money")
    assert table.lines[0][-4:] == ("90 s", "2.00", "0.10", "8.00")


def test_a_point_costs_money_where_an_hour_has_a_price(tmp_path):
    spec = replace(SPEC, budget=BudgetSpec(price_per_accelerator_hour=36.0))
    _, worth = every(money_section(gathered(tmp_path, spec)).blocks, Table)
    (line,) = worth.lines
    assert worth.header[-1] == "money a point"
    hours = [r.search_seconds / 3600 for r in rows_at(spec, "ulm+domain", 1600)]
    gain = float(line[1].split()[0])
    assert float(line[-1]) == pytest.approx(36 * np.mean(hours) / gain, rel=0.05)


def rows_at(spec, regime, size):
    rows = make_rows(replayed(spec, RECORDS))
    return [row for row in rows if (row.regime, row.size) == (regime, size)]


def test_the_search_is_judged_by_stage_and_its_rates_are_folded_away(evidence):
    section = searching_section(evidence)
    text = text_of(section)
    assert (
        "Language model of `domain` and `ulm+domain`: cannot tell, fewer than three trials." in text
    )
    assert text.count("fewer than three trials") == 1, "classifiers have three"
    assert "more than 20 held-out labels bring by chance" in text
    (fold,) = [block for block in section.blocks if isinstance(block, Fold)]
    (table,) = every(fold.blocks, Table)
    assert len(table.lines) == 2 * 5 + 3 + 2 * 5


def test_bands_are_over_the_seeds_of_their_points():
    table = {("bow", None): (0.8, 0.81, 0.8, 0.79, 0.8), ("ulm+domain", 100): (0.7, 0.71)}
    spec = example_spec(seeds=tuple(range(5)))
    findings = findings_of(spec, rows_of(table))
    assert subtitle(findings) == (
        "mean over seeds; band: 95 % interval over 5 seeds, none over 2; dots: single seeds"
    )
    assert band(findings) == "95 % interval over 2 to 5 seeds"
    uneven = {("bow", None): (0.8, 0.81, None), ("ulm+domain", 100): (None, 0.7, 0.71)}
    findings = findings_of(example_spec(seeds=(0, 1, 2)), rows_of(uneven))
    assert findings.num_seeds == 3
    assert subtitle(findings) == (
        "mean over 2 seeds; dots: single seeds; for a band they are too few"
    )
    single = {("scratch", None): (0.8, None), ("ulm", None): (None, 0.7)}
    findings = findings_of(example_spec(), rows_of(single))
    assert band(findings) == ""
    assert "mean over 1 seed" in subtitle(findings)


def test_the_answer_says_which_learning_rates_the_leading_regime_needs(evidence):
    sentence = needed_rates(evidence)
    assert sentence in text_of(answer_section(evidence))
    assert "`ulm+domain` with 1,600 documents" in sentence
    number = r"([\d.]+)"
    for name, column in (("model", "lm_learning_rate"), ("fier", "classifier_learning_rate")):
        chosen = sorted(getattr(r, column) for r in rows_at(SPEC, "ulm+domain", 1600))
        ends = f"{name} {digits(chosen[0])} to {digits(chosen[-1])} "
        told = re.search(
            rf"{re.escape(ends)}\(as good, in the median over seeds: {number}(?: to {number})?; "
            rf"searched: {number} to",
            sentence,
        )
        low, high, lowest = (float(end or told[1]) for end in told.groups())
        assert lowest <= low <= sorted(chosen)[1] * 1.05
        assert sorted(chosen)[1] <= high * 1.05
    assert needed_rates(replace(evidence, panels=())) is None


def test_nothing_finished_has_no_sections_that_need_a_score(tmp_path):
    page = make_page(gathered(tmp_path, records=()))
    titles = [section.title for section in page.sections]
    assert titles == [
        "Answer",
        "Before you believe it",
        "What more text brings",
        "Cost",
        "Cells",
        "Made with",
    ]


def test_what_is_not_at_hand_is_named(evidence):
    text = text_of(mistaken_section(evidence))
    assert "Not shown: the predictions of `ulm+domain` are not at hand" in text
    assert "the encoders of `ulm` and `ulm+domain` are not both to be had from here" in text


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A sweep whose predictions, tokens and encoders are there, its test documents few."""
    storage = tmp_path_factory.mktemp("kept")
    for part, label, texts in (
        ("train", "bad", ["Dull."]),
        ("train", "good", ["Fine."]),
        ("test", "bad", ["Slow and DULL.", "It is <b>never</b> good!"]),
        ("test", "good", ["Xxfine."]),
    ):
        folder = storage / "corpus" / part / label
        folder.mkdir(parents=True)
        for number, text in enumerate(texts):
            (folder / f"{number}.txt").write_text(text)
    spec = example_spec(corpus=CorpusSource(kind="folder", path=storage / "corpus"))
    records = example_records(spec)
    paths = SweepPaths(storage=str(storage), name=spec.name)
    tokens = prepare_tokens(spec.corpus, paths.tokens, processes=1)
    _keep_predictions(paths, spec, records, tokens)
    _keep_encoders(paths, records)
    return gathered(storage, spec, records)


def _keep_predictions(paths, spec, records, tokens):
    """Of the largest size everything is right but the last document, of others nothing is."""
    test = np.flatnonzero(tokens.parts == Part.TEST)
    labels = tokens.labels[test].astype(int)
    paths.predictions_folder.mkdir(parents=True)
    for row in make_rows(replayed(spec, records)):
        right = np.arange(len(test)) < len(test) - 1 if row.size == 1600 else np.zeros(len(test))
        of_label = np.where(right, 0.9, 0.2)
        probabilities = np.zeros((len(test), 2), dtype=np.float32)
        probabilities[np.arange(len(test)), labels] = of_label
        probabilities[np.arange(len(test)), 1 - labels] = 1 - of_label
        np.savez(
            paths.predictions(row.cell),
            documents=test,
            labels=labels,
            probabilities=probabilities,
        )


def _keep_encoders(paths, records):
    words = [f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(100)]
    rng = np.random.default_rng(0)
    keys = {r.encoder for r in records if r.key.study.stage is Stage.FINAL and r.encoder}
    for key in keys:
        folder = paths.encoders / key
        folder.mkdir(parents=True)
        rows = rng.normal(size=(100, 4)).astype(np.float32)
        save_file({sources.EMBEDDING: rows}, folder / sources.WEIGHTS_FILE)
        (folder / sources.MANIFEST_FILE).write_text(json.dumps({"vocabulary": words}))


def test_documents_that_more_text_sets_right_are_shown_with_their_text(kept):
    section = mistaken_section(kept)
    learnt, wrong, _ = [block for block in section.blocks if isinstance(block, Fold)]
    assert "sets 2 of 3 test documents right" in text_of(section)
    assert "at all 2 seeds; 0 go the other way, and 1 are wrong at every" in text_of(section)
    texts = {quote.text for quote in every(learnt.blocks, Quote)}
    assert "Slow and DULL." in texts
    assert "given a probability of 20.0 % at 100, 20.0 % at 400, 90.0 % at 1,600" in (
        learnt.blocks[0].note
    )
    (mistaken,) = every(wrong.blocks, Quote)
    assert mistaken.note == "Class `good`, called `bad` with 80.0 %."


def test_words_that_moved_are_shown_with_their_neighbours(kept):
    fold = mistaken_section(kept).blocks[-1]
    (table,) = every(fold.blocks, Table)
    assert fold.title == "Words whose neighbours moved most between `ulm` and `ulm+domain`"
    assert len(table.lines) == 10
    assert all(len(line[2].split(", ")) == 6 for line in table.lines)


def test_without_both_regimes_no_words_are_compared(tmp_path):
    spec = example_spec(regimes=(Regime.BOW, Regime.DOMAIN))
    section = mistaken_section(gathered(tmp_path, spec, example_records(spec)))
    assert "neighbours" not in text_of(section)


def test_predictions_of_all_cells_allow_mcnemars_test(kept):
    (table,) = every(certainty_section(kept).blocks, Table)
    assert all(line[-1] != "–" for line in table.lines)
    assert table.lines[0][5:7] == ("2", "0")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(9.5, "9.5 s"), (119, "119 s"), (120, "2.0 min"), (7140, "119.0 min"), (7200, "2.0 h")],
)
def test_a_time_is_said_in_the_unit_that_suits_it(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(("value", "text"), [(0.00432, "0.0043"), (131.2, "130"), (1e4, "10,000")])
def test_settings_have_no_exponents(value, text):
    assert digits(value) == text


def test_points_are_named_by_regime():
    points = [("domain", 400), ("domain", 100), ("ulm", None)]
    assert grouped(points) == "`domain` at 100 and 400 and `ulm`"


def test_a_comparison_that_is_lost_surely_is_called_worse(tmp_path):
    spec = example_spec(sizes=(100,), seeds=tuple(range(8)), regimes=(Regime.BOW, Regime.DOMAIN))
    section = certainty_section(gathered(tmp_path, spec, example_records(spec)))
    (table,) = every(section.blocks, Table)
    (line,) = table.lines
    assert float(line[1].split()[0]) < 0
    assert line[2:5] == ("0 of 8", "0.00 [0.00, 0.37]", "worse: enough")
    assert "called better or worse" in text_of(section)


def test_the_level_of_win_probabilities_is_said_where_they_stand(evidence):
    compared = evidence.findings.leaders[0].margin.num_comparisons
    text = text_of(by_size_section(evidence.findings))
    assert f"intervals are {100 - 5 / compared:.1f} % each, not for all lines together" in text


def test_a_size_whose_regimes_share_no_seed_is_named_and_has_no_line(evidence):
    table = {
        ("bow", None): (0.8, 0.8),
        ("domain", 100): (0.7, 0.7),
        ("domain", 400): (0.9, None),
        ("ulm+domain", 400): (None, 0.7),
    }
    section = by_size_section(findings_of(SPEC, rows_of(table)))
    (found,) = every(section.blocks, Table)
    assert [line[0] for line in found.lines] == ["100"]
    assert "At 400 regimes share too few seeds" in text_of(section)
    assert "too few seeds" not in text_of(by_size_section(evidence.findings))


def test_every_regime_that_reads_domain_text_is_held_against_the_bag_of_words(evidence):
    text = text_of(growth_section(evidence))
    assert "`domain` does not pass `bow` within the measured range" in text
    for regime in ("domain", "ulm+domain"):
        assert regime in evidence.findings.over_bow


def test_an_extrapolation_by_one_form_is_said_to_rest_on_it_alone(evidence):
    several = text_of(beyond_section(evidence))
    num_used = len(evidence.model.trusted)
    assert num_used > 1
    assert f"a curve that levels off and the {num_used} forms below that are used" in several
    last, *_ = evidence.model.trusted
    single = replace(evidence.model, fitted=(last,))
    alone = text_of(beyond_section(replace(evidence, model=single)))
    assert "from a curve that levels off to the one form below that is used" in alone


def test_labels_are_said_to_be_counted_in_the_documents_under_the_figure(evidence):
    caption = accuracy_plot(evidence).caption
    assert f"the {SPEC.labels.train} labelled ones included" in caption


def test_what_is_missing_is_said_in_the_picture_itself(tmp_path, monkeypatch):
    def cell_fails(key):
        return key.study.cell_id.startswith(("scratch", "domain-n400"))

    found = gathered(tmp_path, records=example_records(SPEC, limit=300, diverging=cell_fails))
    failed = sum(row.is_failed for row in found.rows)
    left = sum(not row.is_finished for row in found.rows) - failed
    assert failed == 3 + 3
    lines = []
    monkeypatch.setattr(
        sections, "to_png", lambda figure: lines.extend(text.get_text() for text in figure.texts)
    )
    accuracy_png(found)
    parts = f"{failed} failed" + (f", {left} unfinished" if left else "")
    told = f"Missing of {len(found.rows)} cells: {parts}, all of scratch among them."
    assert lines[2:] == ["Cross: no score; hollow: seeds missing.", told]
    plot = accuracy_plot(found)
    assert told in plot.alt
    assert told.replace("scratch", "`scratch`") in plot.caption


def test_a_picture_of_a_whole_sweep_speaks_of_no_gaps(evidence):
    assert gaps_of(evidence.rows) == []
    assert "Cross" not in accuracy_plot(evidence).caption
    one_left = [*evidence.rows[1:], replace(evidence.rows[0], status="running")]
    assert gaps_of(one_left) == [f"Missing of {len(one_left)} cells: 1 unfinished."]


@pytest.mark.parametrize(
    ("share", "text"), [(0.021, "+2.1"), (-0.003, "-0.3"), (-0.0004, "0.0"), (0.0, "0.0")]
)
def test_a_difference_has_a_sign_only_where_it_shows(share, text):
    assert plus(share) == text
    found = Estimate(value=share, interval=Interval(low=share, high=share), num_seeds=2)
    assert signed(found) == f"{text} points [{text}, {text}]"


@pytest.mark.parametrize(("sure", "title"), [(0.79, "and sure of it"), (0.9, "the surest first")])
def test_errors_are_called_sure_only_where_all_are(kept, monkeypatch, sure, title):
    monkeypatch.setattr(mistaken, "SURE", sure)
    folds = every(mistaken_section(kept).blocks, Fold)
    assert folds[1].title == f"Wrong, {title}, at 1,600 documents"


def test_one_sure_error_beside_a_doubtful_one_is_not_called_sure(kept, monkeypatch):
    def found(predicted):
        mistakes = find_mistakes(predicted)
        (sure,) = mistakes.surest
        return replace(mistakes, surest=(replace(sure, chance=0.99), replace(sure, chance=0.6)))

    monkeypatch.setattr(mistaken, "find_mistakes", found)
    folds = every(mistaken_section(kept).blocks, Fold)
    assert folds[1].title == "Wrong, the surest first, at 1,600 documents"


def test_a_label_does_not_end_the_marks_it_stands_between(kept):
    odd = replace(kept, tokens=replace(kept.tokens, label_names=("ba`d\none", "good")))
    notes = [quote.note for quote in every(mistaken_section(odd).blocks, Quote)]
    assert notes[-1] == "Class `good`, called `ba'd one` with 80.0 %."


def test_a_long_label_is_cut():
    assert plain("a class") == "a class"
    about = "complaints about the delivery of goods that were ordered"
    cut = "complaints about the delivery…goods that were ordered abroad"
    assert plain(f"{about} abroad") == cut != plain(f"{about} at home")


def test_the_mean_recall_of_classes_stands_beside_accuracy_where_they_are_uneven(kept):
    scores = next(s for s in make_page(kept).sections if s.title == "Scores")
    means, recalls = every(scores.blocks, Table)
    assert recalls.header[1:] == ("accuracy, %", "recall, mean of classes, %", "classes never said")
    assert [line[0] for line in recalls.lines] == [line[0] for line in means.lines]
    assert "the mean of 2 classes" in text_of(scores)
