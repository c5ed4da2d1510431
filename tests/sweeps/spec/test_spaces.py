import pytest

from sweeps.spec.cells import GENERAL, Stage, make_cells
from sweeps.spec.searches import NeuralSearch, Range, SearchSpec
from sweeps.spec.spaces import maximizes, num_trials, space_of, starts_from_random_weights
from tests.sweeps.example_sweep import example_spec

DECAYS = Range(low=1.5, high=4.0)
SPEC = example_spec(
    search=SearchSpec(
        language_model=NeuralSearch(trials=2, decay=DECAYS),
        classifier=NeuralSearch(trials=3, decay=DECAYS),
    )
)
FROM_RANDOM = {
    (GENERAL, Stage.LANGUAGE_MODEL),
    ("domain", Stage.LANGUAGE_MODEL),
    ("scratch", Stage.CLASSIFIER),
}
STUDIES = {
    (cell.regime, stage): cell
    for cell in make_cells(SPEC)
    for stage in cell.stages
    if stage is not Stage.FINAL
}


@pytest.mark.parametrize(("regime", "stage"), STUDIES)
def test_a_decay_is_searched_only_where_lower_layers_have_been_trained_before(regime, stage):
    cell = STUDIES[regime, stage]
    names = ["inverse_regularization"]
    if regime != "bow":
        is_random = (regime, stage) in FROM_RANDOM
        assert starts_from_random_weights(cell, stage) is is_random
        names = ["learning_rate"] if is_random else ["learning_rate", "decay"]
    assert list(space_of(SPEC, cell, stage)) == names


def test_final_searches_nothing_and_is_one_trial():
    for cell in make_cells(SPEC):
        assert space_of(SPEC, cell, Stage.FINAL) == {}
        assert num_trials(SPEC, cell, Stage.FINAL) == 1


def test_losses_are_minimised_and_accuracies_maximised():
    assert [maximizes(stage) for stage in Stage] == [False, True, True]
