import pytest

from sweeps.spec.searches import (
    BagOfWordsSearch,
    GeneralSearch,
    NeuralSearch,
    Range,
    SearchSpec,
)

NOTHING = Range(low=0, high=0)


def test_a_share_of_a_log_range_is_geometric():
    assert Range(low=1e-4, high=1e-2, log=True).at(0.5) == pytest.approx(1e-3)
    assert Range(low=1, high=4).at(0.5) == 2.5
    for interval in (Range(low=1e-4, high=1e-2, log=True), Range(low=1, high=4)):
        assert [interval.at(0.0), interval.at(1.0)] == pytest.approx([interval.low, interval.high])


def test_a_fixed_value_is_a_range_of_one_point():
    assert Range(low=2.6, high=2.6).is_fixed
    assert not Range(low=1, high=4).is_fixed


def test_a_space_names_what_is_searched():
    assert list(GeneralSearch().space) == ["learning_rate"]
    assert list(NeuralSearch().space) == ["learning_rate", "decay"]
    assert list(BagOfWordsSearch().space) == ["inverse_regularization"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Range(low=2, high=1), "low must not exceed high"),
        (lambda: Range(low=0, high=1, log=True), "starts above 0"),
        (lambda: GeneralSearch(trials=-1), "trials must be at least 1, found -1"),
        (lambda: GeneralSearch(learning_rate=Range(low=-1, high=1)), "must be above 0, found -1"),
        (lambda: NeuralSearch(trials=0), "trials must be at least 1, found 0"),
        (lambda: NeuralSearch(learning_rate=NOTHING), "learning_rate must be above 0, found 0"),
        (lambda: NeuralSearch(decay=Range(low=0.5, high=1)), "decay must be at least 1, found 0.5"),
        (lambda: BagOfWordsSearch(trials=-2), "trials must be at least 1, found -2"),
        (lambda: BagOfWordsSearch(inverse_regularization=NOTHING), "must be above 0, found 0"),
        (lambda: SearchSpec(warmup_epochs=-1), "warmup_epochs must be >= 0, found -1"),
        (lambda: NeuralSearch(warmup_epochs=-2), "warmup_epochs must be >= 0, found -2"),
        (lambda: SearchSpec(parallel_trials=0), "parallel_trials must be at least 1, found 0"),
    ],
)
def test_a_broken_rule_is_refused_with_the_value_found(make, message):
    with pytest.raises(ValueError, match=message):
        make()
