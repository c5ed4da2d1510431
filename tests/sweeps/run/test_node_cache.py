import json
import shutil
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from tiny import context_of, tiny_spec

from sweeps.errors import StorageError
from sweeps.paths import SweepPaths, below
from sweeps.run import node_cache, prepare, shared_folder
from sweeps.run.context import Materials
from sweeps.run.node_cache import cache_folder, cached
from sweeps.run.prepare import prepare_context
from sweeps.run.shared_folder import (
    CONTENTS_FILE,
    Contents,
    contents_of,
    find_contents,
    get_folder,
    put_folder,
)
from sweeps.search.listener import RunListener
from sweeps.spec.cells import make_cells
from ulm.text.tokens import load_tokens


@pytest.fixture
def array(tmp_path):
    """A folder as trials read it."""
    folder = tmp_path / "made" / "array"
    folder.mkdir(parents=True)
    (folder / "ids.npy").write_bytes(bytes(range(256)) * 100)
    (folder / "manifest.json").write_text('{"n": 1}')
    return folder


@pytest.fixture
def place(array, tmp_path):
    """The same folder on shared storage."""
    put_folder(array, f"file://{tmp_path}/bucket/array")
    return f"file://{tmp_path}/bucket/array"


@pytest.fixture
def fetch(tmp_path):
    return partial(cached, root=tmp_path / "node")


@pytest.fixture
def fetched(monkeypatch):
    """The names of files that are fetched, in order."""
    names = []
    get_file = shared_folder.get_file

    def noting(place, local):
        names.append(local.name)
        get_file(place, local)

    monkeypatch.setattr(shared_folder, "get_file", noting)
    return names


def files_of(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_folder_is_fetched_once_and_is_the_one_that_was_put(fetch, place, array, fetched):
    first, second = fetch(place), fetch(place)
    assert first == second
    assert {n: b for n, b in files_of(first).items() if n != CONTENTS_FILE} == files_of(array)
    assert sorted(fetched) == ["ids.npy", "manifest.json"]


def test_the_cache_is_for_its_user_alone(fetch, place, tmp_path):
    fetch(place)
    assert stat.S_IMODE((tmp_path / "node").stat().st_mode) == 0o700


def test_trials_that_start_together_fetch_a_folder_once(place, tmp_path, fetched):
    together = threading.Barrier(6)

    def trial(_):
        together.wait()
        return cached(place, tmp_path / "node")

    with ThreadPoolExecutor(6) as trials:
        assert len(set(trials.map(trial, range(6)))) == 1
    assert sorted(fetched) == ["ids.npy", "manifest.json"]


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 25600])
def test_a_copy_that_was_damaged_on_the_disk_is_fetched_again(fetch, place, array, damage):
    copy = fetch(place) / "ids.npy"
    copy.write_bytes(damage)
    assert (fetch(place) / "ids.npy").read_bytes() == (array / "ids.npy").read_bytes()


def test_a_copy_that_lost_a_file_is_fetched_again(fetch, place):
    (fetch(place) / "manifest.json").unlink()
    assert (fetch(place) / "manifest.json").is_file()


def test_files_that_arrive_damaged_once_are_fetched_once_more(fetch, place, array, monkeypatch):
    get_file, damaged = shared_folder.get_file, []

    def lossy(place, local):
        get_file(place, local)
        if local.name == "ids.npy" and not damaged:
            damaged.append(local)
            local.write_bytes(b"cut")

    monkeypatch.setattr(shared_folder, "get_file", lossy)
    assert (fetch(place) / "ids.npy").read_bytes() == (array / "ids.npy").read_bytes()
    assert len(damaged) == 1


def test_files_that_are_damaged_on_the_storage_are_named_and_nothing_of_them_is_kept(
    fetch, place, tmp_path, fetched
):
    (tmp_path / "bucket" / "array" / "ids.npy").write_bytes(b"rotten")
    with pytest.raises(StorageError, match=r"found others or none in file://.*/array, twice, on"):
        fetch(place)
    assert fetched.count("ids.npy") == 2
    assert [path for path in (tmp_path / "node").iterdir() if path.is_dir()] == []


def test_a_folder_without_contents_is_not_there(fetch, place, tmp_path):
    (tmp_path / "bucket" / "array" / CONTENTS_FILE).unlink()
    assert find_contents(place) is None
    with pytest.raises(StorageError, match=r"found none at file://.*run the sweep again"):
        fetch(place)


def test_contents_that_are_something_else_are_refused(fetch, place, tmp_path):
    file = tmp_path / "bucket" / "array" / CONTENTS_FILE
    for text in ("{}", "[]", "no JSON", json.dumps({"files": {"../x": {}}})):
        file.write_text(text)
        with pytest.raises(StorageError, match="must hold sizes and digests, found something"):
            fetch(place)
    told = {"size_bytes": 1, "sha256": ""}
    for outside in ({"files": {"../x": told}}, {"files": {"x": told}, "subfolder": "../y"}):
        with pytest.raises(ValueError, match="names must be plain"):
            Contents.parse(json.dumps(outside))


def test_a_missing_file_names_machine_place_and_remedy(fetch, place, tmp_path):
    (tmp_path / "bucket" / "array" / "ids.npy").unlink()
    with pytest.raises(
        StorageError, match=r"or none in file://.*/array, twice, on .*: remove that"
    ):
        fetch(place)


def test_what_changed_on_the_storage_is_another_folder(fetch, place, array, tmp_path):
    before = fetch(place)
    (tmp_path / "bucket" / "array" / CONTENTS_FILE).unlink()
    (array / "ids.npy").write_bytes(b"another corpus")
    put_folder(array, place)
    assert (fetch(place) / "ids.npy").read_bytes() == b"another corpus"
    assert before.is_dir(), "trials of another sweep still map it"


def test_what_is_on_the_storage_whole_stays_as_it_is(place, array):
    before = find_contents(place)
    (array / "ids.npy").write_bytes(b"made on another machine")
    put_folder(array, place)
    assert find_contents(place) == before


def test_two_machines_that_put_their_own_array_at_once_damage_nothing(array, tmp_path, monkeypatch):
    place, other = f"file://{tmp_path}/bucket/new", tmp_path / "other" / "array"
    shutil.copytree(array, other)
    (other / "manifest.json").write_text('{"n": 2}')
    put_file = shared_folder.put_file

    def put_beside_another(file, target):
        put_file(file, target)
        if file == array / "manifest.json":
            put_folder(
                other, place, by_content=True
            )  # as a whole, and before the contents of this one

    monkeypatch.setattr(shared_folder, "put_file", put_beside_another)
    put_folder(array, place, by_content=True)
    fetched = cached(place, tmp_path / "node")
    assert files_of(fetched)["manifest.json"] in (b'{"n": 1}', b'{"n": 2}')
    assert files_of(fetched)["ids.npy"] == files_of(array)["ids.npy"]


def test_an_array_that_an_earlier_version_put_is_read_where_it_lies(fetch, array, tmp_path):
    place = f"file://{tmp_path}/bucket/old"
    put_folder(array, place)
    put_folder(array, place, by_content=True)
    assert sorted(files_of(tmp_path / "bucket" / "old")) == [
        CONTENTS_FILE,
        "ids.npy",
        "manifest.json",
    ]
    old = fetch(place)
    new = f"file://{tmp_path}/bucket/new"
    put_folder(array, new, by_content=True)
    assert find_contents(new).digest == find_contents(place).digest
    assert files_of(fetch(new)) == files_of(old)


def test_contents_come_back_from_their_text(array):
    contents = contents_of(array)
    assert Contents.parse(contents.text) == contents
    (array / "ids.npy").unlink()
    assert contents_of(array).digest != contents.digest


def test_parts_that_a_killed_trial_left_are_removed(fetch, place, tmp_path):
    folder = fetch(place)
    part = folder.with_name(f".{folder.name}.0123.part")
    part.mkdir()
    (folder / "ids.npy").unlink()
    fetch(place)
    assert not part.exists()


def test_a_cache_that_can_not_be_written_is_named(place, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="could not fetch"):
        cached(place, tmp_path / "file" / "cache")


def test_names_of_letters_that_a_uri_quotes_are_as_long_here_as_there(array, tmp_path):
    name = f"{'数据' * 25}-0ac4ab8f59e0441e-fastai1"
    place = below(f"file://{tmp_path}/bucket", name)
    put_folder(array, place)
    assert cached(place, tmp_path / "node").name.startswith(name)


def test_the_options_of_a_bucket_are_no_part_of_a_name(fetch, place, fetched, monkeypatch):
    kept, contents = fetch(place), find_contents(place)
    fetched.clear()
    monkeypatch.setattr(node_cache, "find_contents", lambda place: contents)
    assert fetch("s3://bucket/runs/array?endpoint_override=http://host:9000/x") == kept
    assert fetched == []


def test_the_cache_lies_where_the_environment_says(tmp_path):
    assert cache_folder({"SWEEP_CACHE": str(tmp_path)}) == tmp_path
    assert cache_folder({"SWEEP_CACHE": ""}) == cache_folder({})
    assert cache_folder({}).parts[-2:] == (".cache", "ulm-sweeps")


class TestOfASweep:
    @pytest.fixture
    def spec(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("SWEEP_CACHE", str(tmp_path / "node"))
        return tiny_spec(f"file://{tmp_path}/bucket")

    def test_a_worker_reads_the_same_documents_from_its_cache(self, spec, tmp_path):
        context, arrays = prepare_context(spec, SweepPaths.of(spec), RunListener())
        cell = next(cell for cell in make_cells(spec) if not cell.is_general)
        there, here = Materials(context, cell), Materials(context_of(spec, tmp_path / "own"), cell)
        assert there.tokens.folder.parent == tmp_path / "node"
        assert arrays[0].folder.parent == tmp_path / "runs" / "tokens"
        assert np.array_equal(there.tokens.ids, here.tokens.ids)
        assert there.tokens.ids.filename.is_relative_to(tmp_path / "node"), "mapped, not read"

    def test_a_new_head_fetches_the_arrays_instead_of_tokenising(self, spec, tmp_path, monkeypatch):
        _, made = prepare_context(spec, SweepPaths.of(spec), RunListener())
        before = {array.folder.name: contents_of(array.folder) for array in made}
        (tmp_path / "runs").rename(tmp_path / "lost head")
        fetched = []

        def noting(place, folder, contents):
            fetched.append(folder.name)
            get_folder(place, folder, contents)

        monkeypatch.setattr(prepare, "get_folder", noting)
        _, found = prepare_context(spec, SweepPaths.of(spec), RunListener())
        assert fetched == [array.folder.name for array in found]
        assert {a.folder.name: contents_of(a.folder) for a in found} == before
        assert load_tokens(found[0].folder).cost == made[0].cost, "nobody tokenised again"

    def test_a_folder_is_mapped_where_it_lies(self, tmp_path):
        spec = tiny_spec(tmp_path / "shared")
        context, _ = prepare_context(spec, SweepPaths.of(spec), RunListener())
        cell = next(cell for cell in make_cells(spec) if not cell.is_general)
        assert Materials(context, cell).tokens.folder.parent == tmp_path / "shared" / "tokens"
        assert context.tokens is None
        assert not list(tmp_path.rglob(CONTENTS_FILE))
