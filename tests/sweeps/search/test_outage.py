import signal
import threading
import time
from contextlib import contextmanager

import pytest
from simulation import open_control, run_all, tiny_spec
from sqlalchemy.exc import IntegrityError, OperationalError

from sweeps.search import outage as outage_module
from sweeps.search.outage import PATIENCE_SECONDS, Outage
from sweeps.search.studies import OptunaStudies

GONE = OperationalError("INSERT", {}, Exception("connection refused\nIs the server running?"))


class Clock:
    """Sleeping moves it on; nobody waits."""

    def __init__(self):
        self.now = 100.0
        self.slept = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


class Server:
    """Refuses writes until a time."""

    def __init__(self, clock, back_at, error=GONE):
        self.clock = clock
        self.back_at = back_at
        self.error = error
        self.asked = []

    def write(self, is_again):
        self.asked.append(is_again)
        if self.clock() < self.back_at:
            raise self.error
        return "kept"


def made(told):
    clock = Clock()
    return clock, Outage(told, clock=clock, sleep=clock.sleep)


def test_a_write_outlasts_a_server_that_is_away_for_a_minute():
    told = []
    clock, outage = made(told.append)
    server = Server(clock, back_at=160.0)
    assert outage.outlast(server.write) == "kept"
    assert server.asked == [False] + [True] * (len(server.asked) - 1)
    assert clock.slept == [0.5, 1, 2, 4, 8, 10, 10, 10, 10, 10]
    gone, back = told
    assert "(connection refused): no trial starts or ends until it does, for 5 minutes" in gone
    assert back == "the ledger's database answers again"


def test_a_server_that_stays_away_ends_the_run_once_and_not_at_every_write():
    clock, outage = made(lambda message: None)
    server = Server(clock, back_at=1e9)
    with pytest.raises(OperationalError, match="connection refused"):
        outage.outlast(server.write)
    assert PATIENCE_SECONDS <= clock() - 100.0 < PATIENCE_SECONDS + 11
    slept = len(clock.slept)
    with pytest.raises(OperationalError, match="connection refused"):
        outage.outlast(server.write)
    assert len(clock.slept) == slept


def test_each_outage_has_patience_of_its_own():
    clock, outage = made(lambda message: None)
    for _ in range(3):
        assert outage.outlast(Server(clock, clock() + 0.8 * PATIENCE_SECONDS).write) == "kept"


@pytest.mark.parametrize("error", [ValueError("ours"), IntegrityError("INSERT", {}, ValueError())])
def test_what_is_no_outage_is_raised_at_once(error):
    clock, outage = made(lambda message: None)
    with pytest.raises(type(error)):
        outage.outlast(Server(clock, 1e9, error).write)
    assert clock.slept == []


def test_where_nobody_hears_of_it_no_server_is_waited_for():
    clock, outage = made(None)
    with pytest.raises(OperationalError):
        outage.outlast(Server(clock, 1e9).write)
    assert clock.slept == []


@pytest.mark.parametrize("place", ["pause", "attempt"])
def test_ctrl_c_ends_the_wait_also_where_another_handler_only_takes_note_of_it(place):
    noted = []

    def press():
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, lambda *_: noted.append("noted"))
    try:
        sleep = (lambda seconds: press()) if place == "pause" else (lambda seconds: None)
        outage = Outage(lambda message: None, sleep=sleep)
        server = Server(time.monotonic, back_at=float("inf"))

        def write(is_again):
            if is_again and place == "attempt":
                press()
            return server.write(is_again)

        with pytest.raises(KeyboardInterrupt):
            outage.outlast(write)
        with pytest.raises(OperationalError):
            outage.outlast(server.write)
        assert len(server.asked) == 2, "the writes after it wait no more"
        signal.raise_signal(signal.SIGINT)
        assert noted == ["noted"], "afterwards it is as before"
    finally:
        signal.signal(signal.SIGINT, before)


def trained(studies):
    control = open_control(SPEC, studies)
    run_all(control)
    studies.close()
    return control.records


SPEC = tiny_spec(sizes=(10,), seeds=(0,))


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_write_that_failed_is_kept_once_whether_it_was_kept_or_not(
    tmp_path, monkeypatch, is_kept
):
    """Every transaction of a sweep fails as if the server had gone, after its commit or before."""
    monkeypatch.setattr(outage_module, "FIRST_PAUSE_SECONDS", 0.0)
    plain = trained(OptunaStudies(f"sqlite:///{tmp_path}/plain.db", "tiny"))
    url = f"sqlite:///{tmp_path}/lossy.db"
    studies = OptunaStudies(url, "tiny")
    control = open_control(SPEC, studies)
    studies._outage = studies._rows._outage = Outage(lambda message: None)
    begin, make, lost = studies._rows._engine.begin, studies._storage.create_new_study, []

    def lose():
        lost.append("transaction")
        if len(lost) % 2:
            raise GONE

    @contextmanager
    def begin_and_lose():
        with begin() as connection:
            yield connection
            if not is_kept:
                lose()
        if is_kept:
            lose()

    def make_and_lose(directions, name):
        make(directions, name)
        raise GONE

    monkeypatch.setattr(studies._rows._engine, "begin", begin_and_lose)
    if is_kept:
        monkeypatch.setattr(studies._storage, "create_new_study", make_and_lose)
    run_all(control)
    studies.close()
    assert control.records == plain
    assert any(len(record.progress) == 3 for record in plain)
    assert len(lost) > 4 * len(plain), "a test of nothing"
    again = OptunaStudies(url, "tiny")
    assert len(again.read()) == len(plain), "nothing is kept twice"
    assert sorted(again.read(), key=str) == sorted(plain, key=str)
    again.close()


def test_a_sweep_outlasts_a_server_that_is_stopped_and_started(postgres):
    plain = trained(OptunaStudies(postgres.database("unbroken"), "tiny"))
    url, told = postgres.database("stopped"), []
    studies = OptunaStudies(url, "tiny", told.append)
    control = open_control(SPEC, studies)
    run_all(control, at_most=2)
    postgres.stop()
    back = threading.Timer(2.0, postgres.start)
    back.start()
    try:
        run_all(control)
    finally:
        back.join()
    assert [message.partition(" (")[0] for message in told] == [
        "the ledger's database does not answer",
        "the ledger's database answers again",
    ]
    assert control.records == plain
    studies.close()
