"""Which trials are held back, and what ends a run."""

from sweeps.search.breaks import OUT_OF_MEMORY, TOO_LONG, VANISHED, Breaks


def test_a_pause_doubles_with_every_failure_up_to_ten_minutes():
    now = [0.0]
    breaks = Breaks(lambda: now[0])
    for num_failures, seconds in [(1, 10.0), (2, 20.0), (3, 40.0), (2000, 600.0)]:
        breaks.hold("a", num_failures, "OSError: no answer")
        now[0] += seconds - 1.0
        assert not breaks.is_due("a")
        now[0] += 1.0
        assert breaks.is_due("a")


def test_the_first_loss_of_a_worker_holds_no_trial_back():
    breaks = Breaks()
    for reason in (VANISHED, OUT_OF_MEMORY, TOO_LONG):
        breaks.hold("a", 1, reason)
        assert breaks.held == frozenset()
        breaks.hold("b", 2, reason)
        assert breaks.held == {"b"}
        breaks.release("b")


def test_only_trials_of_different_cells_in_a_row_say_that_others_would_break():
    breaks = Breaks()
    assert not any(breaks.gave_up(str(trial), "a", "IndexError: 3") for trial in range(9))
    assert not breaks.gave_up("10", "b", "IndexError: 3")
    breaks.ended()
    assert [breaks.gave_up(f"of {cell}", cell, "IndexError: 3") for cell in "abc"] == [0, 0, 1]
    assert tuple(breaks.given_up.values()) == ("of a", "of b", "of c")


def test_trials_that_are_too_large_for_their_machines_say_nothing_of_others():
    breaks = Breaks()
    for cell, reason in zip("abcd", (OUT_OF_MEMORY, TOO_LONG) * 2, strict=True):
        assert not breaks.gave_up(f"of {cell}", cell, reason)
