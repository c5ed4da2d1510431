import ctypes
import json
import os
import signal
import socket
from functools import partial

import numpy as np
import pytest
from tiny import tiny_spec

from sweeps.errors import StorageError, SweepError
from sweeps.paths import SweepPaths
from sweeps.run.driver import (
    driver_lock,
    has_driver,
    signals_as_before,
    terminated_like_interrupt,
)
from sweeps.run.memory import GIB, MemoryPeak, MemoryWatch
from sweeps.run.prepare import prepare_context, pretrained_general
from sweeps.search.listener import RunListener
from sweeps.spec.general import GeneralSpec
from sweeps.spec.values import LabelSpec, TrackingSpec
from ulm.errors import UlmError
from ulm.model.architecture import Architecture
from ulm.model.encoder import random_encoder
from ulm.regimes import Regime
from ulm.text.vocabulary import SPECIAL_WORDS, Vocabulary


def test_a_second_driver_is_refused_with_process_and_machine_of_the_first(tmp_path):
    paths = SweepPaths(storage=str(tmp_path), name="tiny")
    with (
        driver_lock(paths),
        pytest.raises(StorageError, match=f"one driver at a time, found process {os.getpid()}"),
        driver_lock(paths),
    ):
        pass
    with driver_lock(paths):
        assert paths.driver_lock.is_file()


def test_a_driver_is_at_work_where_its_process_lives_or_can_not_be_looked_at(tmp_path):
    paths = SweepPaths(storage=str(tmp_path), name="tiny")
    assert not has_driver(paths)
    with driver_lock(paths):
        assert has_driver(paths)
    paths.folder.mkdir()
    ended = {"process": 2**31 - 1, "host": socket.gethostname()}
    for told, is_there in ((ended, False), ({**ended, "host": "elsewhere"}, True), ({}, False)):
        paths.driver_json.write_text(json.dumps(told))
        assert has_driver(paths) is is_there
    assert has_driver(SweepPaths(storage=f"file://{tmp_path}/bucket", name="tiny"))


def test_storage_that_can_not_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    paths = SweepPaths(storage=str(tmp_path / "file"), name="tiny")
    with pytest.raises(StorageError, match="storage must be writable"), driver_lock(paths):
        pass


def test_a_new_sweep_of_which_nothing_came_leaves_no_folder(tmp_path):
    paths = SweepPaths(storage=str(tmp_path), name="tiny")
    with driver_lock(paths):
        (paths.folder / "half").write_text("half written")
    assert not paths.folder.exists()


def test_the_folder_of_a_begun_sweep_and_what_was_there_before_stay(tmp_path):
    begun = SweepPaths(storage=str(tmp_path), name="begun")
    with driver_lock(begun):
        begun.spec_json.write_text("{}")
    assert begun.spec_json.is_file()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("not of a sweep")
    with driver_lock(SweepPaths(storage=str(tmp_path), name="notes")):
        pass
    assert (tmp_path / "notes" / "mine.txt").is_file()


@pytest.mark.parametrize("interrupts", [signal.default_int_handler, signal.SIG_IGN])
def test_termination_ends_a_block_as_ctrl_c_does_and_leaves_the_handler_as_it_was(
    interrupts, request
):
    earlier = signal.signal(signal.SIGINT, interrupts)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, earlier))
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt, match=r"^$"), terminated_like_interrupt():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_after_a_block_that_changes_handlers_below_python_signals_are_heard_again(request):
    heard = []
    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.signal(number, lambda number, frame: heard.append(number))
        request.addfinalizer(partial(signal.signal, number, before))
    with signals_as_before():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ctypes.pythonapi.PyOS_setsig(int(signal.SIGTERM), ctypes.c_void_p(int(signal.SIG_IGN)))
        signal.raise_signal(signal.SIGTERM)
        assert not heard
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGTERM)
    assert heard == [signal.SIGINT, signal.SIGTERM]


def test_the_watch_sees_memory_that_came_and_went():
    with MemoryWatch(interval_seconds=0.005) as watch:
        begin = watch.peak.driver_gib
        block = np.ones(300 * 2**20 // 8)
        seen = watch._sample  # one sample for certain, whatever the thread does
        seen()
        del block
    assert watch.peak.driver_gib >= begin + 0.25
    assert watch.peak.total_gib >= watch.peak.driver_gib
    assert GIB == 1024**3


def test_peaks_are_the_largest_of_each():
    one = MemoryPeak(driver_gib=1.0, worker_gib=2.0, total_gib=3.0)
    other = MemoryPeak(driver_gib=2.0, worker_gib=1.0, total_gib=5.0)
    assert one.larger(other) == MemoryPeak(driver_gib=2.0, worker_gib=2.0, total_gib=5.0)
    assert "all processes together 3.00 GiB" in str(one)


def test_mistakes_about_the_corpus_are_found_before_the_sweep_has_a_folder(tmp_path):
    spec = tiny_spec(tmp_path, labels=LabelSpec(train=1050), sizes=(1050,))
    paths = SweepPaths.of(spec)
    with pytest.raises(UlmError, match="labels must not exceed"):
        prepare_context(spec, paths, RunListener())
    assert not paths.folder.exists()
    assert not list(paths.tokens.glob("synthetic-general*")), "before the general corpus is read"


def test_a_size_beyond_a_pool_that_is_known_is_refused_before_anything_is_tokenised(tmp_path):
    spec = tiny_spec(tmp_path, sizes=(20, 10**6))
    paths = SweepPaths.of(spec)
    with pytest.raises(SweepError, match=r"pool of 1,080 documents, found 1,000,000; leave"):
        prepare_context(spec, paths, RunListener())
    assert not paths.tokens.exists()


def test_trials_are_told_no_password(tmp_path):
    tracking = TrackingSpec(uri="http://me:pw@host:5000")
    spec = tiny_spec(tmp_path, regimes=(Regime.BOW,), tracking=tracking)
    context, _ = prepare_context(spec, SweepPaths.of(spec), RunListener())
    assert context.spec.tracking.uri == "http://me@host:5000"


@pytest.mark.torch
def test_a_saved_encoder_becomes_the_general_model_under_the_key_of_its_content(tmp_path):
    def saved(folder, seed):
        vocabulary = Vocabulary(words=(*SPECIAL_WORDS, "film"))
        sizes = Architecture(embedding=8, hidden=8, layers=2)
        random_encoder(sizes, vocabulary, seed=seed).save(folder)
        return tiny_spec(tmp_path, general=GeneralSpec(kind="encoder", path=folder))

    keys = []
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        spec = saved(tmp_path / name, seed)
        keys.append(pretrained_general(spec, SweepPaths.of(spec), RunListener()))
    assert keys[0] == keys[1] != keys[2]
    assert pretrained_general(tiny_spec(tmp_path), SweepPaths.of(spec), RunListener()) is None


@pytest.mark.torch
def test_an_encoder_of_other_sizes_is_refused(tmp_path):
    vocabulary = Vocabulary(words=(*SPECIAL_WORDS, "film"))
    random_encoder(Architecture(embedding=4, hidden=8, layers=2), vocabulary, seed=0).save(
        tmp_path / "e"
    )
    spec = tiny_spec(tmp_path, general=GeneralSpec(kind="encoder", path=tmp_path / "e"))
    with pytest.raises(SweepError, match=r"\(4, 8, 2\), found \(8, 8, 2\)"):
        pretrained_general(spec, SweepPaths.of(spec), RunListener())
