"""Which nodes get no further trial, and which keep theirs."""

import pytest

from sweeps.search.breaks import OUT_OF_MEMORY
from sweeps.search.places import Place, Places

BAD, GOOD = (Place(node=name, name=f"{name} (10.0.0.1)") for name in ("bad", "good"))
ERROR = "RuntimeError: CUDA error: uncorrectable ECC error"


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def places(now):
    return Places(lambda: now[0])


def breaks(places, trial, place=BAD, reason=ERROR):
    places.began(trial, place, holds_gpu=True)
    return places.broke(trial, reason)


def ends(places, trial, place=GOOD, cell=None):
    places.began(trial, place, holds_gpu=True)
    places.ended(trial, cell or f"cell of {trial}")
    places.left(trial)


def test_a_node_that_breaks_what_ends_elsewhere_is_put_out(places):
    for trial in "abc":
        assert breaks(places, trial) is None
        ends(places, trial)
    places.began("another", GOOD, holds_gpu=True)
    assert breaks(places, "d") is BAD
    places.put_out(BAD)
    assert places.avoided == "bad"
    assert breaks(places, "e") is None, "told once"


def test_a_node_is_not_put_out_where_no_other_of_its_kind_is_at_work(places):
    for trial in "abc":
        breaks(places, trial)
        ends(places, trial)
    assert breaks(places, "d") is None, "the other may be gone"
    places.began("bow", GOOD, holds_gpu=False)
    assert breaks(places, "e") is None, "it may have no room for these"
    places.began("f", BAD, holds_gpu=True)
    assert breaks(places, "g") is None, "it is the same"


def test_two_nodes_that_accuse_each_other_are_not_both_put_out(places):
    for trial in "abc":
        breaks(places, trial)
        ends(places, trial)
    for trial in "def":
        breaks(places, trial, GOOD)
        places.began(trial, BAD, holds_gpu=True)
    places.began("g", GOOD, holds_gpu=True)
    assert breaks(places, "h") is BAD
    places.put_out(BAD)
    for trial in "def":
        places.ended(trial, f"cell of {trial}")
        places.left(trial)
    places.left("g")
    assert breaks(places, "i", GOOD) is None


def test_trials_that_break_everywhere_put_no_node_out(places):
    places.began("another", GOOD, holds_gpu=True)
    for _ in range(3):
        for trial in "abcdef":
            assert breaks(places, trial) is None
            assert breaks(places, trial, GOOD) is None
        ends(places, "g")


def test_a_node_on_which_a_trial_ended_meanwhile_is_not_put_out(places):
    places.began("another", GOOD, holds_gpu=True)
    for trial in "abcdef":
        assert breaks(places, trial) is None
        ends(places, trial)
        ends(places, f"another {trial}", BAD)


def test_trials_of_one_cell_or_too_large_ones_put_no_node_out(places):
    places.began("another", GOOD, holds_gpu=True)
    for trial in "abcdef":
        assert breaks(places, trial) is None
        ends(places, trial, cell="a cell with a bug")
    for trial in "ghijkl":
        assert breaks(places, trial, reason=OUT_OF_MEMORY) is None
        ends(places, trial)


def test_nodes_are_suspected_only_where_another_of_their_kind_is_at_work_since_before(places, now):
    def suspects(since=10.0, *, holds_gpu=True):
        return places.suspects("abc", holds_gpu=holds_gpu, since=since)

    for trial in "abc":
        breaks(places, trial)
    assert suspects() is None, "it is the only one"
    places.began("d", GOOD, holds_gpu=True)
    assert suspects() == (BAD,)
    assert suspects(since=0.0) is None, "what has just begun may break too"
    assert suspects(holds_gpu=False) is None, "it may have no room for these"
    places.broke("d", ERROR)
    assert suspects() is None


def test_nodes_at_work_on_something_else_are_not_suspected_of_what_broke_there(places):
    nodes = [Place(node=name, name=name) for name in "ABCD"]
    for node in nodes:
        places.began(f"an hour on {node.name}", node, holds_gpu=True)
    for trial in "abc":
        for node in nodes[:3]:
            breaks(places, trial, node)
    assert places.suspects("abc", holds_gpu=True, since=10.0) == ()
    places.left("an hour on B")
    assert places.suspects("abc", holds_gpu=True, since=10.0) == (nodes[1],)
    places.put_out(nodes[1])
    assert places.suspects("abc", holds_gpu=True, since=10.0) == (), "told once"


def test_a_trial_whose_node_is_not_known_is_held_against_none(places):
    assert breaks(places, "a", None) is None
    ends(places, "a")
    assert places.names("a") == ""
    breaks(places, "b")
    assert places.names("b") == "bad (10.0.0.1)"


def test_a_node_that_is_not_fit_is_put_out_unless_it_is_the_last_or_the_third(places):
    nodes = {name: Place(node=name, name=name) for name in "abcd"}
    for name, place in nodes.items():
        places.began(name, place, holds_gpu=True)
    for name in "ab":
        assert places.unfit(name) is nodes[name]
        places.put_out(nodes[name])
    assert places.is_out(nodes["a"])
    assert places.unfit("c") is None, "all that come may be like these"
    assert places.unfit("unknown") is None


def test_a_trial_handed_out_before_its_node_went_out_ends_nothing(places):
    for trial, place in (("a", BAD), ("b", BAD), ("c", GOOD)):
        places.began(trial, place, holds_gpu=True)
    assert places.unfit("a") is BAD
    places.put_out(BAD)
    places.left("c")  # between two trials
    assert places.unfit("b") is BAD


def test_a_node_that_is_not_fit_is_kept_where_no_other_of_its_kind_is_at_work(places):
    places.began("bow", GOOD, holds_gpu=False)
    places.began("a", BAD, holds_gpu=True)
    places.began("b", BAD, holds_gpu=True)
    assert places.unfit("a") is None
