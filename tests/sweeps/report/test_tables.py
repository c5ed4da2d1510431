from sweeps.answer.results import ResultRow
from sweeps.report.tables import cells_table, means_table
from tests.sweeps.answer.sweep_scores import findings_of, rows_of
from tests.sweeps.example_sweep import example_spec
from ulm.regimes import Regime

SPEC = example_spec(sizes=(100,), seeds=(0, 1, 2), regimes=(Regime.DOMAIN,))


def line_of(accuracies):
    (line,) = means_table(SPEC, findings_of(SPEC, rows_of({("domain", 100): accuracies}))).lines
    return line


def test_a_mean_over_fewer_seeds_than_the_spec_has_says_so():
    assert line_of((0.60, 0.62))[1].endswith(" (2 of 3)")
    assert " of " not in line_of((0.60, 0.61, 0.62))[1]


def test_one_run_more_lies_between_a_lower_and_a_higher_score():
    low, high = map(float, line_of((0.60, 0.61, 0.62))[2].split(" to "))
    assert low < 60 < 62 < high


def test_every_number_of_a_cell_stands_under_its_name():
    row = ResultRow(
        regime="domain",
        size=1600,
        seed=3,
        status="finished",
        test_accuracy=0.81,
        validation_accuracy=0.79,
        lm_loss=4.5,
        lm_learning_rate=0.004,
        lm_best_epoch=5,
        classifier_learning_rate=0.01,
        decay=2.6,
        inverse_regularization=10.0,
        steps=40,
        seconds=90.0,
    )
    table = cells_table([row])
    assert dict(zip(table.header, table.lines[0], strict=True)) == {
        "regime": "domain",
        "documents": "1,600",
        "seed": "3",
        "test acc.": "81.0 %",
        "valid. acc.": "79.0 %",
        "LM loss": "4.500",
        "LM rate": "0.004",
        "LM best epoch": "5",
        "classifier rate": "0.01",
        "decay": "2.6",
        "C": "10",
        "steps": "40",
        "time": "90 s",
        "status": "finished",
    }
