import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from sweeps.answer.costs import costs
from sweeps.answer.results import ResultRow, make_rows
from sweeps.answer.search_curves import search_curve
from sweeps.answer.tried import SearchPanel, Tried
from sweeps.paths import LABEL_POOL, SPENT_HOURS, SweepPaths
from sweeps.report import blocks
from sweeps.report.headline import headline
from sweeps.report.page import render_html, words, write_report
from sweeps.report.phrases import joined
from sweeps.report.sentences import answer
from sweeps.search.records import TrialState
from sweeps.spec.cells import Stage
from sweeps.spec.general import GeneralSpec
from sweeps.spec.searches import Range
from sweeps.spec.values import BudgetSpec, TestSpec
from tests.sweeps.answer.sweep_scores import TOO_SHORT, curve, findings_of, notes_of, rows_of
from tests.sweeps.example_sweep import example_records, example_spec, longer, replayed, study_of
from tests.sweeps.results_table import read_csv
from ulm.regimes import Regime

SPEC = example_spec()
FAILING = study_of(SPEC, "scratch", None, 1, Stage.CLASSIFIER)


@pytest.fixture
def paths(tmp_path):
    return SweepPaths(storage=str(tmp_path), name=SPEC.name)


class Page(HTMLParser):
    """Checks nesting, collects text, images and whatever would be loaded."""

    def __init__(self, text):
        super().__init__()
        self.open, self.images, self.loaded, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        if tag != "meta":
            self.open.append(tag)
        if tag == "svg":
            self.images.append(dict(attributes)["aria-label"])
        self.loaded += [v for k, v in attributes if k in ("src", "href", "xlink:href") and v]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def test_a_full_report_has_its_four_files_and_nothing_half_written(paths):
    ledger = replayed(SPEC, example_records(SPEC))
    report = write_report(paths, ledger)
    assert {file.name for file in paths.report.iterdir()} == {
        "report.html",
        "report.md",
        "accuracy.png",
        "results.csv",
    }
    assert set(report.files) == set(paths.report.iterdir())
    assert read_csv(paths.results_csv) == make_rows(ledger)
    with paths.results_csv.open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 18


def test_the_page_is_whole_and_loads_nothing(paths):
    write_report(paths, replayed(SPEC, example_records(SPEC)))
    page = Page(paths.report_html.read_text())
    assert len(page.images) == 2 + 2 + 2 + 7  # curves and losses twice, for a phone too
    assert all(page.images), "every figure says in words what it shows"
    assert all(source.startswith("#") for source in page.loaded)
    assert "viewport" in paths.report_html.read_text()
    assert "prefers-color-scheme: dark" in paths.report_html.read_text()
    titles = re.findall(r"<h2>(.*?)</h2>", paths.report_html.read_text())
    assert titles == [
        "Answer",
        "Before you believe it",
        "Which regime at which size",
        "Scores",
        "How sure is that?",
        "What more text brings",
        "Beyond the largest size",
        "Cost",
        "Was the search enough?",
        "What it gets wrong",
        "Cells",
        "Made with",
    ]


def test_a_quote_reads_in_its_own_direction():
    quote = blocks.Quote(text="نعم", note="Class `good`.")
    section = blocks.Section(title="What it gets wrong", blocks=(quote,))
    page = blocks.Page(title="demo", subtitle="", sections=(section,))
    assert '<p dir="auto">نعم</p>' in render_html(page).decode()


def test_page_and_markdown_give_the_same_answer(paths):
    report = write_report(paths, replayed(SPEC, example_records(SPEC)))
    page, markdown = paths.report_html.read_text(), paths.report_md.read_text()
    for sentence in report.answer:
        assert str(words(sentence)) in page
        assert f"{sentence}\n" in markdown
    assert re.search(r"!\[Test accuracy against domain documents: .*\]\(accuracy.png\)", markdown)


def test_markdown_tables_have_as_many_cells_as_their_header(paths):
    write_report(paths, replayed(SPEC, example_records(SPEC)))
    markdown = paths.report_md.read_text()
    tables = [block for block in markdown.split("\n\n") if block.lstrip().startswith("|")]
    assert len(tables) == 12
    for table in tables:
        assert len({line.count("|") for line in table.strip().splitlines()}) == 1


def test_a_half_finished_sweep_says_what_is_missing(paths):
    spec = replace(SPEC, order="smallest_first")
    records = example_records(spec, limit=70, diverging=lambda key: key.study == FAILING)
    report = write_report(paths, replayed(spec, records))
    text = Page(paths.report_html.read_text()).text
    finished = sum(row.is_finished for row in read_csv(paths.results_csv))
    assert 0 < finished < 18
    assert f"{finished} of 18 cells are finished" in text
    assert report.answer[0].startswith(f"So far, from {finished} of 18 cells: with 100 labels")
    assert "scratch seed 1: failed: no classifier trial finished" in text
    missing = "too few cells of ulm+domain at 1,600 documents are finished"
    assert f"The share of the gain is not defined: {missing}" in text


def test_a_sweep_that_is_asked_for_more_trials_keeps_its_report_and_says_so(paths):
    whole = write_report(paths, replayed(SPEC, example_records(SPEC))).answer
    report = write_report(paths, replayed(longer(SPEC, classifier=9), example_records(SPEC)))
    assert report.answer == whole
    text = Page(paths.report_html.read_text()).text
    assert "All 18 cells of the grid are finished, 16 of them by the search before" in text
    assert "6 cells of ulm+domain : extended: its score is of the search before." in text


def test_why_cells_are_unfinished_stands_in_the_report():
    spec = replace(SPEC, budget=BudgetSpec(accelerator_hours=1e-4, hours=2.0))
    rows = make_rows(replayed(spec, example_records(SPEC, limit=2)))
    notes = notes_of(spec, rows)
    assert any(note.endswith(": incomplete: budget spent after 1 of 5 trials.") for note in notes)
    assert any(note.endswith(": unstarted: budget spent.") for note in notes)
    assert "A run starts no trial after 2 h (`budget.hours`); the next goes on." in notes
    spent = notes_of(spec, rows, summary={SPENT_HOURS: 2.0})
    assert (
        "The last run started no further trial because its 2 h (`budget.hours`) were spent; "
        "the next goes on."
    ) in spent
    assert not any("A run starts no trial" in note for note in spent)
    finished = make_rows(replayed(spec, example_records(SPEC)))
    assert not any(
        "budget" in note for note in notes_of(spec, finished, summary={SPENT_HOURS: 2.0})
    )


def test_a_reader_is_told_that_the_general_model_knows_the_domain():
    rows = make_rows(replayed(SPEC, example_records(SPEC)))
    same = replace(SPEC, general=GeneralSpec(kind=SPEC.corpus.kind))
    (note,) = set(notes_of(same, rows)) - set(notes_of(SPEC, rows))
    assert note.startswith("The general model was pretrained on the domain's own documents")
    without = [row for row in rows if row.regime in ("bow", "scratch", "domain")]
    assert not any("own documents" in note for note in notes_of(same, without))


def test_a_reader_is_told_that_parallel_trials_give_up_the_same_table():
    rows = make_rows(replayed(SPEC, example_records(SPEC)))
    parallel = replace(SPEC, search=replace(SPEC.search, parallel_trials=2))
    (note,) = set(notes_of(parallel, rows)) - set(notes_of(SPEC, rows))
    assert note.startswith("2 trials of a study may run at once (`search.parallel_trials`)")
    assert note.endswith("need not give the same table.")


def test_a_sweep_with_nothing_finished_has_a_report_without_figure(paths):
    report = write_report(paths, replayed(SPEC, ()))
    assert report.files == (paths.report_html, paths.report_md, paths.results_csv)
    assert not paths.accuracy_png.exists()
    assert report.answer == ("No answer yet. None of 18 cells is finished yet.",)
    assert Page(paths.report_html.read_text()).images == []


def test_a_lost_and_a_running_trial_do_not_stop_the_report(paths):
    first, second = example_records(SPEC, limit=2)
    running = replace(second, state=TrialState.RUNNING, outcome=None, ended_at=None)
    write_report(paths, replayed(SPEC, [replace(first, state=TrialState.LOST), running]))
    assert not any(row.is_finished for row in read_csv(paths.results_csv))


def test_the_same_records_give_the_same_bytes(tmp_path):
    ledger = replayed(SPEC, example_records(SPEC))
    first, second = (
        write_report(SweepPaths(storage=str(tmp_path), name=name), ledger) for name in ("a", "b")
    )
    for one, other in zip(first.files, second.files, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_environment_and_the_runs_summary_are_shown_and_escaped(paths):
    paths.folder.mkdir(parents=True)
    paths.summary_json.write_text(
        json.dumps({"command": "sweep run <a>&b", "peak_gib": 3.21987, "nested": {"a": 1}})
    )
    write_report(paths, replayed(SPEC, ()))
    assert "sweep run &lt;a&gt;&amp;b" in paths.report_html.read_text()
    assert "3.22" in Page(paths.report_html.read_text()).text
    assert "nested" not in paths.report_md.read_text()


@pytest.mark.parametrize("num_sampled", [None, 1000])
def test_per_document_predictions_enter_the_intervals_when_every_cell_has_them(paths, num_sampled):
    spec = replace(SPEC, test=TestSpec(documents=num_sampled))
    records = example_records(spec)
    rows = make_rows(replayed(spec, records))
    paths.predictions_folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for row in rows:
        hits = rng.random(1000) < row.test_accuracy
        np.savez(
            paths.predictions(row.cell),
            documents=np.arange(1000) + (500 * row.seed if num_sampled else 0),
            labels=hits.astype(int),
            probabilities=np.tile(np.float32([0.2, 0.8]), (1000, 1)),
        )
    write_report(paths, replayed(spec, records))
    assert "over 2 seeds and the choice of test documents" in paths.report_md.read_text()


def answer_to(table):
    rows = rows_of(table)
    return answer(SPEC, findings_of(SPEC, rows), rows)


def test_where_no_regime_beats_bow_the_answer_says_that_it_is_not_worth_a_gpu():
    first, second, third, *_ = answer_to({("bow", None): (0.8, 0.82), ("domain", 100): (0.6, 0.7)})
    assert first == (
        "With 100 labels, 2 seeds do not tell whether `domain` with 100 documents is above TF-IDF: "
        "the difference is -16.0 points (95 %: -66.8 to +34.8)."
    )
    assert second.startswith("With 100 labels, no regime stays above the line of `bow` (81.0 %")
    assert "nearest is `domain` at 100 with -16.0 points" in second
    assert third == "Not above it, nor surely below: `domain` at 100."
    table = {("bow", None): (0.8, 0.82, 0.81), ("domain", 100): (0.6, 0.62, 0.61)}
    (told,) = [sentence for sentence in answer_to(table) if "a GPU" in sentence]
    assert told == ("Surely below it: `domain` at 100. What is below that line is not worth a GPU.")


def test_a_sentence_names_the_size_from_which_bow_is_passed_and_sizes_that_are_above_for_a_while():
    _, passing, falling, below, *_ = answer_to(
        {
            ("bow", None): (0.80, 0.80),
            ("ulm+domain", 100): (0.81, 0.82),  # above, but not from here on
            ("ulm+domain", 400): (0.78, 0.79),
            ("ulm+domain", 1600): (0.85, 0.86),
        }
    )
    assert "with `ulm+domain` from 1,600 domain documents on, there by +5.5 points" in passing
    assert "(above in 2 of 2 seeds)" in passing
    assert falling == "Above it, but not at every larger size: `ulm+domain` at 100."
    assert below.startswith("Not above it, nor surely below: `ulm+domain` at 400.")


def test_regimes_that_score_equally_are_both_first():
    told = answer_to({("bow", None): (0.75, 0.85), ("domain", 100): (0.9, 0.7)})
    assert "At 100 domain documents `bow` and `domain` score equally and highest (80.0 %)." in told


def test_a_lead_that_one_seed_of_twelve_makes_is_not_called_better():
    lifted = answer_to({("bow", None): (0.8,) * 12, ("domain", 100): (0.99, *(0.798,) * 11)})
    (told,) = [sentence for sentence in lifted if "scores highest" in sentence]
    assert "`domain` scores highest" in told
    assert "it is ahead of `bow` by +1.4 points" in told
    assert told.endswith("(above in 1 of 12 seeds), though more seeds put it below.")
    sure = answer_to({("bow", None): (0.8,) * 12, ("domain", 100): (0.81,) * 12})
    (told,) = [sentence for sentence in sure if "scores highest" in sentence]
    assert "it is better than `bow` by +1.0 points" in told
    assert told.endswith("(above in 12 of 12 seeds).")


def test_a_lead_that_the_seeds_do_not_support_is_hedged():
    first, *_ = answer_to({("bow", None): (0.8, 0.8), ("ulm", None): (0.79, 0.83)})
    assert "`ulm`, by +1.0 points" in first
    assert "which may be chance" in first


def test_seeds_that_tie_are_named():
    text = " ".join(answer_to({("bow", None): (0.8, 0.8), ("ulm", None): (0.8, 0.83)}))
    assert "`ulm`, by +1.5 points [-17.6, +20.6] (above in 1, equal in 1, of 2 seeds)" in text


def test_a_share_of_the_gain_is_not_spoken_of_in_a_grid_without_one():
    spec = replace(SPEC, regimes=(Regime.SCRATCH, Regime.DOMAIN))
    rows = rows_of({("scratch", None): (0.6, 0.61), ("domain", 100): (0.65, 0.66)})
    told = answer(spec, findings_of(spec, rows), rows)
    assert "`domain` scores highest" in told[0]
    assert not [sentence for sentence in told if "gain" in sentence]


def test_a_point_with_nothing_to_compare_it_with_is_told_by_its_score():
    spec = replace(SPEC, regimes=(Regime.SCRATCH,))
    rows = rows_of({("scratch", None): (0.6, 0.61)})
    first, *_ = answer(spec, findings_of(spec, rows), rows)
    assert first.startswith("Accuracy, with nothing to compare it with: `scratch` 60.5 % [")
    first, *_ = answer_to({("bow", None): (0.8, 0.81)})
    assert first.startswith("Accuracy, with nothing to compare it with: `bow` 80.5 % [")


def test_what_the_general_model_adds_has_its_interval_at_both_ends():
    level = {("domain", n): (0.7, 0.72) for n in (100, 400, 1600)}
    above = {("ulm+domain", n): (0.8 - n / 16000, 0.82) for n in (100, 400, 1600)}
    text = " ".join(answer_to({**level, **above}))
    assert "(`ulm+domain` minus `domain`) changes accuracy by +9.7 points [+5.7, +13.7] at 100" in (
        text
    )
    assert "and +5.0 points [-58.5, +68.5] at 1,600." in text


def test_better_is_said_only_where_enough_seeds_agree():
    few = " ".join(answer_to({("domain", 100): (0.8,) * 2, ("bow", None): (0.7,) * 2}))
    many = " ".join(answer_to({("domain", 100): (0.8,) * 6, ("bow", None): (0.7,) * 6}))
    assert "it is ahead of `bow`" in few
    assert "it is better than `bow`" in many


def test_better_is_not_said_of_the_many_sizes_that_no_claim_counts():
    low, high = (0.7,) * 12, (0.8,) * 12
    text = " ".join(
        answer_to(
            {("bow", None): (0.75,) * 12, ("domain", 100): low}
            | {("domain", 400): high, ("domain", 1600): high}
        )
    )
    assert "`bow` scores highest (75.0 %); it is ahead of `domain`" in text
    assert "at 1,600 it is better than `bow`" in text


def test_a_line_that_is_passed_early_and_lost_again_is_not_called_never_passed():
    spec = replace(SPEC, seeds=(0, 1, 2))
    scatter = (0.0, 0.002, -0.002)
    table = {
        ("bow", None): (0.815, 0.817, 0.813),
        ("ulm", None): (0.78, 0.782, 0.778),
        **curve("ulm+domain", {100: 0.82, 400: 0.79, 1600: 0.81}, scatter),
    }
    text = headline(spec, findings_of(spec, rows_of(table)))
    assert text.endswith(
        "; `ulm+domain` with 1,600 documents is 0.5 points below TF-IDF (95 %: 0.5–0.5)."
    )
    assert "use TF-IDF" not in text


def test_one_seed_is_named_as_such():
    *_, last = answer_to({("bow", None): (0.8,)})
    assert last == "There is one seed: nothing here says how much another seed would differ."


def test_a_sweep_without_bow_still_has_an_answer():
    spec = example_spec(regimes=(Regime.DOMAIN,))
    rows = rows_of({("domain", 100): (0.7, 0.72), ("domain", 1600): (0.8, 0.82)})
    text = " ".join(answer(spec, findings_of(spec, rows), rows))
    assert "scores highest" not in text
    assert "From 100 to 1,600 domain documents `domain` changes by +10.0 points" in text


def test_few_seeds_are_a_caveat_and_six_are_not():
    for num_seeds, text in ((1, "There is one seed"), (2, "one degree of freedom"), (5, "with 5")):
        notes = notes_of(SPEC, rows_of({("bow", None): (0.8,) * num_seeds}))
        assert text in notes[0]
    assert not any("claim" in note for note in notes_of(SPEC, rows_of({("bow", None): (0.8,) * 6})))
    behind = rows_of({("bow", None): (0.8, 0.7), ("ulm", None): (0.8,)})
    assert notes_of(SPEC, behind)[0].startswith("There is one seed of `ulm`: nothing here")


def test_what_is_the_same_at_every_seed_is_a_caveat_where_it_is_so():
    def said(table, pool=None, labels=None):
        notes = notes_of(SPEC, rows_of(table), pool_documents=pool, summary={LABEL_POOL: labels})
        return [note for note in notes if note.startswith("No interval")]

    general, domain = {("ulm", None): (0.8, 0.7)}, {("domain", 1600): (0.8, 0.7)}
    (both,) = said({**general, **domain}, 2000)
    assert both == (
        "No interval contains the draw of the general model, which was made once, nor that of "
        "the domain documents at 1,600, of which two seeds share 80 %."
    )
    assert said(general, 2000) == [
        "No interval contains the draw of the general model, which was made once."
    ]
    (documents,) = said(domain, 2000)
    assert documents.startswith("No interval contains the draw of the domain documents at 1,600")
    drawn = SPEC.labels.train
    for pool, text in (
        (drawn, f"of the {drawn} labels, which are the same at every seed"),
        (drawn * 5 // 4, f"of the {drawn} labels, of which two seeds share 80 %"),
    ):
        assert said(domain, labels=pool) == [f"No interval contains the draw {text}."]
    assert said(domain, labels=2 * drawn) == []
    assert said(domain, 4000) == said(domain) == said({("ulm", None): (0.8,)}) == []


def test_a_search_whose_last_trial_helped_is_a_caveat():
    text = " ".join(notes_of(SPEC, [], search_curves=(search_curve(TOO_SHORT),)))
    assert "The last trial of the search still brought a gain for `domain` (classifier)" in text


@pytest.mark.parametrize(("best", "towards"), [(0.03, "higher"), (0.01, "lower")])
def test_best_rates_at_one_end_of_what_was_tried_are_a_caveat_that_points_there(best, towards):
    tried = tuple(
        Tried(
            rate=rate,
            score=70.0 if rate == best else 60.0,
            size=SPEC.sizes[0],
            is_chosen=False,
            is_pruned=False,
        )
        for rate in (0.01, 0.02, 0.03)
    )
    panel = SearchPanel(
        regime="domain",
        stage=Stage.CLASSIFIER,
        searched=Range(low=1, high=2),
        num_held_out=1000,
        studies=(tried,) * 8,
    )
    text = " ".join(notes_of(SPEC, [], search_curves=(search_curve(panel),)))
    assert f"in 8 of 8 cells: {towards} ones may be better still" in text


def test_how_coarse_scores_are_is_a_caveat():
    rows = rows_of({("bow", None): (0.8, 0.7)})
    notes = notes_of(
        SPEC, [replace(row, test_documents=n) for row, n in zip(rows, (400, 100), strict=True)]
    )
    assert any(
        "chosen on 20 held-out labels, so a validation accuracy moves in steps of 5.0 points"
        in note
        for note in notes
    )
    assert (
        "Scores are of 100 test documents: the choice of these alone is worth up to ±9.8 points."
    ) in notes


def test_settings_at_the_edge_of_their_range_are_a_caveat():
    row = ResultRow(
        regime="domain",
        size=100,
        seed=0,
        status="finished",
        lm_learning_rate=0.0199,
        classifier_learning_rate=0.005,
    )
    text = " ".join(notes_of(SPEC, [row]))
    assert (
        "language model learning rate lies at the edge of its range [0.001, 0.02] in 1 of" in text
    )
    assert "classifier learning rate lies" not in text


def test_many_missing_cells_are_counted_and_few_are_named():
    rows = make_rows(replayed(SPEC, ()))
    assert "6 cells of `domain` and 6 cells of `ulm+domain`: unstarted." in notes_of(SPEC, rows)[0]
    assert notes_of(SPEC, rows[:2])[0] == "`bow` seed 0 and `bow` seed 1: unstarted."


def test_costs_count_every_trial_and_sum_to_the_total():
    records = example_records(SPEC)
    *lines, total = costs(replayed(SPEC, records))
    assert [line.name for line in lines] == ["general", *(regime.value for regime in Regime)]
    assert total.num_trials == len(records) == sum(line.num_trials for line in lines)
    assert total.steps == sum(record.outcome.metrics["steps"] for record in records)
    assert total.spent.accelerator_seconds == pytest.approx(total.seconds)
    assert (total.spent.wasted_seconds, total.money) == (0, None)
    lost = replace(records[0], state=TrialState.LOST, outcome=None)
    assert costs(replayed(SPEC, [lost]))[-1].seconds == pytest.approx(
        records[0].ended_at - records[0].started_at
    )


def test_an_attempt_that_was_lost_is_paid_for_and_wasted():
    spec = replace(SPEC, budget=BudgetSpec(price_per_accelerator_hour=36.0))
    first, *others = example_records(spec)
    lost = replace(first, state=TrialState.LOST, outcome=None, ended_at=first.started_at + 100)
    again = replace(first, key=replace(first.key, attempt=1))
    whole = costs(replayed(spec, [first, *others]))[-1]
    broken = costs(replayed(spec, [lost, again, *others]))[-1]
    assert broken.num_trials == whole.num_trials + 1
    assert broken.spent.wasted_seconds == 100
    assert broken.money == pytest.approx(whole.money + 1.0)
    rows = make_rows(replayed(spec, [lost, again, *others]))
    assert [row.trials for row in rows] == [
        row.trials for row in make_rows(replayed(spec, [first, *others]))
    ]


def test_the_cost_table_has_money_only_where_its_price_is_known(paths):
    records = example_records(SPEC)
    header = "| CPU hours | of these wasted |"
    write_report(paths, replayed(SPEC, records))
    assert f"{header}\n" in paths.report_md.read_text()
    priced = replace(SPEC, budget=BudgetSpec(price_per_accelerator_hour=2.0))
    write_report(paths, replayed(priced, records))
    markdown = paths.report_md.read_text()
    assert f"{header} money |\n" in markdown
    assert "One CPU hour is counted as 2." in markdown


def test_lists_are_joined_as_people_do():
    assert joined([]) == ""
    assert joined(["a"]) == "a"
    assert joined(["a", "b", "c"]) == "a, b and c"


def test_of_regimes_that_pass_bow_the_one_that_needs_least_text_is_named_first():
    table = {
        ("bow", None): (0.8, 0.8),
        ("ulm", None): (0.81, 0.81),
        ("domain", 100): (0.7, 0.7),
        ("domain", 400): (0.95, 0.95),
        ("ulm+domain", 100): (0.82, 0.82),
        ("ulm+domain", 400): (0.84, 0.84),
    }
    text = " ".join(answer_to(table))
    places = [
        text.index(f"it with {name}" if name != "`ulm`" else f"CPU) with {name}, by")
        for name in ("`ulm`", "`ulm+domain` from 100", "`domain` from 400")
    ]
    assert places == sorted(places)


def test_as_many_scores_are_said_as_sizes():
    means = {100: 0.80, 400: 0.80, 1600: 0.81}
    (told,) = [
        line
        for line in answer_to({("bow", None): (0.7, 0.7), **curve("domain", means, (0.0, 0.0))})
        if "scores highest" in line
    ]
    assert "At 100, 400 and 1,600 domain documents" in told
    assert "(80.0 %, 80.0 % and 81.0 %)" in told


def test_brackets_that_rest_on_fewer_seeds_are_not_said_to_rest_on_all():
    equal = answer_to({("bow", None): (0.8, 0.8), ("domain", 100): (0.7, 0.7)})
    assert equal[-1] == "Brackets are 95 % intervals over 2 seeds."
    fewer = answer_to({("bow", None): (0.8, 0.8), ("domain", 100): (0.7,)})
    assert fewer[-1] == "Brackets are 95 % intervals over up to 2 seeds."


def test_where_bow_knows_no_word_of_many_documents_its_line_is_called_no_reference():
    (row,) = rows_of({("bow", None): (0.5,)})

    def notes(unseen):
        one = replace(row, test_documents=200, unseen_documents=unseen)
        return [note for note in notes_of(SPEC, [one]) if "knows no word" in note]

    assert notes(None) == notes(20) == []
    assert notes(30)[0].startswith("`bow` knows no word in 15.0 % of the test documents")


def test_a_reader_is_told_where_vocabularies_know_few_of_the_tokens():
    rows = rows_of({("ulm", None): (0.5,), ("domain", 100): (0.5,), ("domain", 1600): (0.5,)})

    def notes(coverage, general):
        found = [replace(row, coverage=coverage, general_coverage=general) for row in rows]
        found[1] = replace(found[1], coverage=0.1)
        return [note for note in notes_of(SPEC, found) if "tokens" in note]

    assert notes(None, None) == notes(0.8, 0.6) == []
    vocabulary, general = notes(0.45, 0.25)
    assert vocabulary.startswith(
        "With 1,600 documents a vocabulary knows 45.0 % of the test tokens"
    )
    assert general.startswith("The general model knows 25.0 % of the tokens of the domain")
