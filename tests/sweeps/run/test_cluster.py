import importlib
import socket
import sys
from logging import ERROR, NOTSET, getLogger
from types import SimpleNamespace

import pytest
from ray._common.utils import get_ray_address_file

from sweeps.errors import ClusterError
from sweeps.run import cluster
from sweeps.run.cluster import (
    _as_if_missing,
    _join,
    check_answers,
    check_joins,
    cluster_address,
    refusal,
)


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    return tmp_path


def test_the_address_is_the_environments_or_what_ray_start_kept(nowhere, monkeypatch):
    assert cluster_address() is None
    (nowhere / "ray").mkdir()
    (nowhere / "ray" / "ray_current_cluster").write_text("10.0.0.1:6379\n", encoding="utf-8")
    monkeypatch.setenv("TMPDIR", "/elsewhere")
    assert cluster_address() == "10.0.0.1:6379"
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.9:6379")
    assert cluster_address() == "10.0.0.9:6379"
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    assert cluster_address() == "10.0.0.1:6379"
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert cluster_address() is None


def test_ray_keeps_the_address_in_tmpdir_where_nothing_else_is_said(nowhere, monkeypatch):
    monkeypatch.delenv("RAY_TMPDIR")
    monkeypatch.setenv("TMPDIR", str(nowhere))
    (nowhere / "ray").mkdir()
    (nowhere / "ray" / "ray_current_cluster").write_text("10.0.0.1:6379\n", encoding="utf-8")
    assert cluster_address() == "10.0.0.1:6379"
    assert get_ray_address_file(None) == str(nowhere / "ray" / "ray_current_cluster")


@pytest.fixture
def closed_port():
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        yield reserved.getsockname()[1]


def test_an_address_that_does_not_answer_names_where_it_is_from(nowhere, monkeypatch, closed_port):
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{closed_port}")
    with pytest.raises(ClusterError, match=r"named by RAY_ADDRESS, found .*refused.*ray up"):
        check_answers(f"127.0.0.1:{closed_port}")
    monkeypatch.delenv("RAY_ADDRESS")
    with pytest.raises(ClusterError, match=r"named by .*ray_current_cluster.*remove it"):
        check_answers(f"127.0.0.1:{closed_port}")


def test_a_head_is_asked_at_an_address_in_brackets_too(monkeypatch):
    asked, answers = [], SimpleNamespace(close=lambda: None)
    monkeypatch.setattr(
        cluster.socket, "create_connection", lambda at, timeout: asked.append(at) or answers
    )
    check_answers("[fe80::1]:6379")
    assert asked == [("fe80::1", 6379)]


@pytest.mark.parametrize("address", ["ray://head:10001", "head", "http://head:8265", ":6379"])
def test_an_address_of_another_kind_is_refused(nowhere, address):
    with pytest.raises(ClusterError, match="must be host:port"):
        check_answers(address)


@pytest.mark.parametrize(
    ("printed", "message"),
    [
        (
            "W x Unauthenticated: RPC error: InvalidAuthToken: y\nConnectionError: z",
            "hold the token",
        ),
        ("ray.exceptions.AuthenticationError: no token was found", "hold the token"),
        (
            "RuntimeError: Version mismatch:\n Ray: 2.59.0\n Python: 3.12",
            "Ray: 2.59.0 Python: 3.12: re",
        ),
        ("RuntimeError: No node info found matching attributes", "ray submit"),
        ("W x\nConnectionError: Failed to connect\n", "(ConnectionError: Failed to connect): see"),
        ("", "no reason given"),
    ],
)
def test_what_ray_refuses_with_becomes_one_message_with_a_remedy(printed, message):
    assert message in str(refusal("10.0.0.1:6379", printed))


def test_a_port_that_never_says_anything_is_given_up(nowhere, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        check_answers(address)
        with pytest.raises(ClusterError, match=r"can not be joined .no answer in 3 s.*the port"):
            check_joins(address, timeout_seconds=3)


class Unreachable:
    def init(self, **options):
        raise ConnectionError("Failed to connect to Ray cluster")


def test_a_ray_that_can_not_be_joined_is_one_message():
    with pytest.raises(ClusterError, match=r"did not \(Failed to connect.*run again"):
        _join(Unreachable(), "127.0.0.1:1", {})


def test_a_library_that_is_not_loaded_is_missing_for_a_block_and_then_there_again():
    sys.modules.pop("cProfile", None)
    with _as_if_missing("cProfile"), pytest.raises(ImportError):
        importlib.import_module("cProfile")
    assert "cProfile" not in sys.modules
    with _as_if_missing("json"):
        importlib.import_module("json")


@pytest.mark.ray
def test_tune_does_not_name_trials_that_broke(monkeypatch):
    monkeypatch.setattr(cluster, "cluster_address", lambda: None)
    monkeypatch.setattr(cluster, "_join", lambda *args: None)
    getLogger("ray.tune.tune").setLevel(NOTSET)
    with cluster.open_ray(SimpleNamespace(address=lambda: "", release=lambda: None)):
        assert not getLogger("ray.tune.tune").isEnabledFor(ERROR)
