import pytest
from tiny import tiny_spec

from sweeps.errors import CapacityError
from sweeps.run.capacity import current_fleet, idle_gpus, largest_fleet, slots
from sweeps.spec.fleet import Slots
from sweeps.spec.values import ResourceSpec
from ulm.regimes import Regime

CONFIG = {
    "head_node_type": "head",
    "max_workers": 5,
    "available_node_types": {
        "head": {"resources": {"CPU": 4}, "max_workers": 0},
        "gpu": {"resources": {"CPU": 8, "GPU": 1}, "max_workers": 4},
        "cpu": {"resources": {"CPU": 16}, "max_workers": 4},
    },
}


def asking(tmp_path, *, regimes=tuple(Regime), **resources):
    return tiny_spec(tmp_path, regimes=regimes, resources=ResourceSpec(**resources))


def nodes(*found):
    return current_fleet([{"Alive": True, "Resources": each} for each in found])


@pytest.mark.parametrize(
    ("resources", "found", "expected"),
    [
        ({"cpus": 2}, [{"CPU": 7.0}], Slots(total=3, neural=3)),
        ({"cpus": 2}, [{"CPU": 3.0}, {"CPU": 3.0}], Slots(total=2, neural=2)),
        ({"cpus": 2, "gpus": 0.5}, [{"CPU": 64.0, "GPU": 2.0}], Slots(total=32, neural=4)),
        ({"cpus": 2, "gpus": 0.5}, [{"CPU": 4.0, "GPU": 8.0}], Slots(total=2, neural=2)),
        ({"cpus": 1, "gpus": 0.4}, [{"CPU": 16.0, "GPU": 2.0}], Slots(total=16, neural=4)),
        (
            {"cpus": 1, "gpus": 1},
            [{"CPU": 2.0}, {"CPU": 1.0, "GPU": 1.0}],
            Slots(total=3, neural=1),
        ),
    ],
)
def test_a_fixed_cluster_has_the_slots_that_fit_on_its_nodes(tmp_path, resources, found, expected):
    assert slots(asking(tmp_path, **resources), nodes(*found)) == expected


def test_dead_nodes_hold_nothing():
    dead = {"Alive": False, "Resources": {"CPU": 8.0}}
    alive = {"Alive": True, "Resources": {"memory": 1.0}}
    assert current_fleet([dead, alive]).most_trials(cpus=1, gpus=0) == 0


def test_an_autoscaling_cluster_without_workers_has_the_slots_of_its_largest(tmp_path):
    spec = asking(tmp_path, cpus=4, gpus=1)
    found = slots(spec, nodes({"CPU": 4.0}), largest_fleet(CONFIG))
    assert found == Slots(total=1 + 4 * 4 + 1 * 2, neural=4), "five workers, the largest first"


def test_the_limit_of_all_workers_counts_for_gpus_too(tmp_path):
    config = {**CONFIG, "max_workers": 3}
    spec = asking(tmp_path, cpus=1, gpus=0.5)
    assert slots(spec, nodes({"CPU": 4.0}), largest_fleet(config)).neural == 6


def test_more_nodes_than_the_autoscaler_may_start_are_used_all_the_same(tmp_path):
    config = {**CONFIG, "max_workers": 0}
    current = nodes({"CPU": 4.0}, {"CPU": 32.0})
    assert slots(asking(tmp_path), current, largest_fleet(config)).total == 36


def test_a_configuration_without_limits_or_resources_promises_nothing(tmp_path):
    assert largest_fleet({}).nodes == ()
    bare = {"available_node_types": {"node": {"node_config": {}, "resources": {}}}}
    assert slots(asking(tmp_path), nodes({"CPU": 2.0}), largest_fleet(bare)).total == 2


def test_a_trial_no_node_can_hold_is_one_message_with_what_there_is_and_the_remedy(tmp_path):
    spec = asking(tmp_path, cpus=2, gpus=1)
    with pytest.raises(
        CapacityError, match=r"the 2 CPUs and 1 GPUs .* 1 × 8 CPUs and 0 GPUs.*gpus=0"
    ):
        slots(spec, nodes({"CPU": 8.0}))
    only_cpus = {**CONFIG, "available_node_types": {"head": {"resources": {"CPU": 4}}}}
    with pytest.raises(CapacityError, match="also if only at the cluster's largest"):
        slots(spec, nodes({"CPU": 0.0}), largest_fleet(only_cpus))
    with pytest.raises(CapacityError, match=r"found 1 × 2 CPUs and 0 GPUs: lower resources\.cpus"):
        slots(asking(tmp_path, cpus=3), nodes({"CPU": 2.0}))


def test_bow_alone_needs_no_gpu_and_neural_regimes_alone_need_one(tmp_path):
    bow = asking(tmp_path, regimes=(Regime.BOW,), gpus=1)
    assert slots(bow, nodes({"CPU": 2.0})) == Slots(total=2, neural=0)
    neural = asking(tmp_path, regimes=(Regime.SCRATCH,), gpus=1)
    with pytest.raises(CapacityError, match="1 GPUs"):
        slots(neural, nodes({"CPU": 2.0}))


def test_a_sweep_without_gpus_hears_of_those_that_its_cluster_has_or_may_get(tmp_path):
    head, with_gpu = nodes({"CPU": 4.0}), nodes({"CPU": 4.0, "GPU": 1.0})
    on_cpus = asking(tmp_path, cpus=1)
    assert "resources.gpus is 0" in idle_gpus(on_cpus, head, largest_fleet(CONFIG))
    assert "--set resources.gpus=1" in idle_gpus(on_cpus, with_gpu)
    assert idle_gpus(on_cpus, head) is None
    assert idle_gpus(asking(tmp_path, cpus=1, gpus=1), with_gpu) is None
    assert idle_gpus(asking(tmp_path, cpus=1, regimes=(Regime.BOW,)), with_gpu) is None
