import pytest

from sweeps.errors import StorageError
from sweeps.run.nodes import (
    StorageTry,
    ask,
    label_of,
    listens_beyond_one_machine,
    try_storage,
)
from sweeps.storage import put_bytes, read_bytes


def test_trying_a_storage_leaves_nothing_behind(tmp_path):
    storage = tmp_path / "a" / "b"
    node = {"NodeID": "n1"}
    with try_storage(str(storage)) as tried:
        assert read_bytes(tried.driver_file) == tried.word.encode()
        assert not tried.saw(node)
        put_bytes(b"of an earlier try", tried.node_file(node))
        assert not tried.saw(node)
        put_bytes(tried.word.encode(), tried.node_file(node))
        assert tried.saw(node)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_a_sweep_has_filled_meanwhile_stays(tmp_path):
    storage = tmp_path / "runs"
    with try_storage(str(storage)):
        (storage / "demo").mkdir()
    assert [path.name for path in storage.iterdir()] == ["demo"]


def test_a_driver_that_can_not_write_the_storage_says_so(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with (
        pytest.raises(StorageError, match="the driver can write"),
        try_storage(str(tmp_path / "file")),
    ):
        pass


def test_options_of_a_bucket_stay_at_the_end_of_what_is_tried():
    tried = StorageTry(folder="s3://b/x?scheme=http", word="w")
    assert tried.node_file({"NodeID": "n"}) == "s3://b/x/n?scheme=http"


def test_a_node_is_called_by_its_name_or_its_host():
    node = {"NodeManagerAddress": "10.0.0.2", "NodeManagerHostname": "ip-2", "NodeName": "10.0.0.2"}
    assert label_of(node) == "ip-2 (10.0.0.2)"
    assert label_of({**node, "NodeName": "worker"}) == "worker (10.0.0.2)"


def test_nodes_at_one_address_are_one_machine():
    one, other = {"NodeManagerAddress": "10.0.0.2"}, {"NodeManagerAddress": "10.0.0.3"}
    assert not listens_beyond_one_machine([one, one])
    assert listens_beyond_one_machine([one, other])


class FakeErrors:
    class RayError(Exception):
        pass


class FakeRay:
    """Answers by reference; what is not among them never comes."""

    exceptions = FakeErrors

    def __init__(self, answers):
        self._answers = answers
        self.cancelled = []

    def wait(self, waiting, num_returns, timeout):
        ready = [each for each in waiting if each in self._answers][:num_returns]
        return ready, [each for each in waiting if each not in ready]

    def get(self, reference):
        answer = self._answers[reference]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def cancel(self, reference, force):
        self.cancelled.append(reference)


def test_a_node_that_hangs_or_breaks_is_an_answer_and_not_the_end():
    broken = FakeErrors.RayError("trace\n  ModuleNotFoundError: no module named x\n")
    ray = FakeRay({"a": {"versions": {}}, "b": broken})
    asked = {name: {"NodeID": name.upper()} for name in "abc"}
    assert ask(ray, asked, 0.2) == {
        "A": {"versions": {}},
        "B": "the probe failed there (ModuleNotFoundError: no module named x)",
        "C": "no answer in 0 s",
    }
    assert ray.cancelled == ["c"]
