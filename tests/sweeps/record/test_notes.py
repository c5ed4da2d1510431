from dataclasses import replace

from sweeps.answer.results import FAILED, make_rows
from sweeps.record.notes import cell_note, curve_note, experiment_note, sweep_note, trial_note
from sweeps.record.views import VIEWS
from tests.sweeps.example_sweep import cell_of, example_records, example_spec, replayed

SPEC = example_spec(sizes=(100, 1600))
CELL = cell_of(SPEC, "domain", 1600, 0)
RECORDS = example_records(SPEC)
(ROW,) = [row for row in make_rows(replayed(SPEC, RECORDS)) if row.cell == CELL.id]


def test_a_sweep_says_its_answer_and_where_it_is_seen():
    assert sweep_note(("More helps.", "First.", "Second.")).startswith(
        "More helps.\n\n- First.\n- Second.\n\nArtifacts: "
    )
    assert sweep_note(("No answer yet.",)).startswith("No answer yet.\n\nArtifacts: ")
    assert len(sweep_note(("long " * 5_000,))) < 8_000, "MLflow refuses longer tags"


def test_a_cell_says_what_it_read_and_what_came_out():
    test, held_out = 100 * ROW.test_accuracy, 100 * ROW.validation_accuracy
    assert cell_note(ROW, CELL) == (
        "Regime `domain` on 1,600 documents, seed 0. "
        f"Test accuracy {test:.1f} % on 1,000 documents. "
        f"Chosen on held-out labels, where it reached {held_out:.1f} %. {ROW.trials} trials."
    )
    failed = cell_note(replace(ROW, status=f"{FAILED}: it diverged"), CELL)
    assert failed == "Regime `domain` on 1,600 documents, seed 0. Failed: it diverged"


def test_a_trial_says_what_it_tried_and_a_curve_what_its_step_is():
    record = next(r for r in RECORDS if r.key.study.cell_id == CELL.id)
    rate = record.params["learning_rate"]
    note = trial_note(record, CELL)
    assert note.startswith(
        f"Trial 0 of the language model of domain n=1600 seed 0: learning rate {rate:.3g}"
    )
    assert "number of domain documents" in curve_note("ulm", 1)


def test_an_experiment_links_every_view():
    note = experiment_note("demo")
    assert all(f"viewStateShareKey=ulm-{view.key})" in note for view in VIEWS)
