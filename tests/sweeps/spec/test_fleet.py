"""Cluster files as fleets, and what a plan costs on them."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from sweeps.errors import SweepError
from sweeps.spec.bill import bill_warnings, make_bill
from sweeps.spec.fleet import Fleet, NodeType, load_fleet, with_price
from sweeps.spec.load import load_spec
from sweeps.spec.plan import plan_sweep
from sweeps.spec.values import BudgetSpec, ResourceSpec

CLUSTER = Path(__file__).parents[3] / "cluster"
HEAD = NodeType(name="head", cpus=4, price_per_hour=0.4, is_head=True)
WORKER = NodeType(name="worker", cpus=8, gpus=1, maximum=4, price_per_hour=0.6, market="spot")
FLEET = Fleet(name="test.yaml", nodes=(HEAD, WORKER), max_workers=10, idle_minutes=30)
TOLD = """
max_workers: 3
idle_timeout_minutes: 12
head_node_type: boss
available_node_types:
  gpu:
    resources: {CPU: 8, GPU: 1}
    labels: {price-per-hour: "0.526", market: spot}
    node_config: {}
  big:
    resources: {CPU: 32, GPU: 4}
    max_workers: 2
    node_config: {}
  boss: {resources: {CPU: 2}, labels: {price-per-hour: "0.1"}, node_config: {}}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "cluster.yaml"
    path.write_text(TOLD, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def imdb():
    return load_spec("imdb")


def on_gpus(spec, gpus, cpus=1):
    return replace(spec, resources=ResourceSpec(cpus=cpus, gpus=gpus))


@pytest.mark.parametrize(
    ("cpus", "gpus", "held"),
    [(1, 0, 8), (3, 0, 2), (1, 1, 1), (1, 0.25, 4), (4, 0.25, 2), (1, 0.1, 8), (1, 2, 0)],
)
def test_a_node_holds_what_both_its_cpus_and_its_gpus_allow(cpus, gpus, held):
    assert WORKER.num_trials(cpus=cpus, gpus=gpus) == held


def test_a_share_of_a_gpu_never_spans_two():
    node = NodeType(name="two", cpus=64, gpus=2)
    assert node.num_trials(cpus=1, gpus=0.4) == 4
    assert node.num_trials(cpus=1, gpus=0.1) == 20
    assert node.num_trials(cpus=1, gpus=2) == 1


def test_a_cluster_file_gives_its_node_types_the_head_first(file):
    fleet = load_fleet(file)
    assert [node.name for node in fleet.nodes] == ["boss", "gpu", "big"]
    assert (fleet.max_workers, fleet.idle_minutes) == (3, 12)
    assert fleet.nodes[0] == NodeType(name="boss", cpus=2, price_per_hour=0.1, is_head=True)
    assert (fleet.nodes[1].maximum, fleet.nodes[1].market) == (3, "spot")
    assert (fleet.nodes[2].maximum, fleet.nodes[2].price_per_hour) == (2, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "provider: {type: local, head_ip: a}",
            r"must name its available_node_types.*set budget\.price",
        ),
        ("[1, 2", "must be YAML that can be read"),
        ("available_node_types: {w: {resources: {GPU: 1}}}", "w: resources must say.*GPU"),
        (
            "available_node_types: {w: {resources: {CPU: 1}, labels: {price-per-hour: free}}}",
            "w: .*'free'.*numbers are written as",
        ),
        (
            "available_node_types: {w: {resources: {CPU: 1}, labels: {price-per-hour: '-1'}}}",
            "w: price_per_hour must be >= 0, found -1",
        ),
        (
            "{max_workers: two, available_node_types: {w: {resources: {CPU: 1}}}}",
            "'two'; max_workers and idle_timeout_minutes must be numbers",
        ),
        (
            "available_node_types: {w: {resources: {CPU: 1}, max_workers: few}}",
            "w: .*'few'; numbers are written as",
        ),
        ("available_node_types: {w: [CPU, 1]}", "w: resources must say what a node holds"),
        (
            "available_node_types: {w: {resources: {CPU: 1}, labels: [spot]}}",
            "w: .*labels: {price-per-hour",
        ),
    ],
)
def test_a_file_that_does_not_say_what_nodes_hold_is_refused_with_the_remedy(file, text, message):
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SweepError, match=message):
        load_fleet(file)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SweepError, match=r"found .*nowhere\.yaml"):
        load_fleet(tmp_path / "nowhere.yaml")


def test_a_trial_that_no_node_holds_is_refused_with_what_nodes_hold():
    with pytest.raises(SweepError, match=r"9 CPUs and 1 GPUs.*worker: 8 CPUs, 1 GPUs.*lower"):
        FLEET.holding(ResourceSpec(cpus=9, gpus=1))
    none = replace(FLEET, nodes=(HEAD, replace(WORKER, maximum=0)))
    with pytest.raises(SweepError, match="a node must hold a trial"):
        none.holding(ResourceSpec(gpus=1))


def test_an_accelerator_hour_costs_the_share_of_a_node_that_a_trial_takes():
    quarter = ResourceSpec(cpus=1, gpus=0.25)
    assert FLEET.price_per_accelerator_hour(quarter) == pytest.approx(0.6)
    wide = ResourceSpec(cpus=4, gpus=0.25)  # two a node: half of the GPU is never used
    assert FLEET.price_per_accelerator_hour(wide) == pytest.approx(1.2)
    cpus = ResourceSpec(cpus=2)
    assert FLEET.price_per_accelerator_hour(cpus) == pytest.approx(0.1), "the head is dearest"
    unknown = replace(FLEET, nodes=(HEAD, replace(WORKER, price_per_hour=None)))
    assert unknown.price_per_accelerator_hour(quarter) is None


def test_a_price_in_the_spec_wins_and_a_heads_own_file_is_asked_after_it(imdb, file, tmp_path):
    text = yaml.safe_load(TOLD)
    del text["available_node_types"]["big"]
    file.write_text(yaml.safe_dump(text), encoding="utf-8")
    spec = on_gpus(imdb, 1)
    told = replace(spec, budget=BudgetSpec(price_per_accelerator_hour=3.0))

    def price(spec, bootstrap=file):
        return with_price(spec, bootstrap).budget.price_per_accelerator_hour

    assert price(told) == 3.0
    assert price(spec) == 0.526
    assert price(spec, tmp_path / "none.yaml") is None
    file.write_text("provider: {type: local}", encoding="utf-8")
    assert price(spec) is None


def test_the_bill_pays_workers_for_their_work_and_the_head_for_all_of_the_time(imdb):
    spec = on_gpus(imdb, 0.25)
    plan = plan_sweep(spec)
    bill = make_bill(plan, spec, FLEET)
    head, worker = bill.nodes
    assert (bill.fits, bill.at_once, worker.count, worker.trials) == (16, 16, 4, 4)
    on_gpu = sum(row.hours for row in plan.regimes if row.regime != "bow")
    assert bill.wall_hours == pytest.approx(on_gpu / 16)
    assert worker.hours == pytest.approx(on_gpu / 4 + 4 * 0.5)
    assert head.hours == bill.wall_hours
    assert bill.money == pytest.approx(0.4 * head.hours + 0.6 * worker.hours)
    assert bill.node_hours == head.hours + worker.hours


def test_the_largest_cluster_is_made_of_the_nodes_that_hold_most():
    small = replace(WORKER, name="small", gpus=1, maximum=2, price_per_hour=0.1)
    large = replace(WORKER, name="large", cpus=64, gpus=8, maximum=2, price_per_hour=9.0)
    fleet = Fleet(name="two kinds", nodes=(HEAD, small, large), max_workers=2)
    assert fleet.most_trials(cpus=1, gpus=1) == 16
    assert fleet.most_trials(cpus=1, gpus=0) == 4 + 128


def test_the_type_of_the_head_may_be_that_of_workers_too(file):
    told = TOLD.replace("boss: {resources: {CPU: 2}", "boss: {max_workers: 2, resources: {CPU: 2}")
    file.write_text(told, encoding="utf-8")
    fleet = load_fleet(file)
    assert [(node.name, node.maximum) for node in fleet.nodes if node.is_head] == [("boss", 1)]
    assert [n.maximum for n in fleet.nodes if n.name == "boss" and not n.is_head] == [2]


def test_workers_that_may_not_start_hold_no_trial(file, imdb):
    told = TOLD.replace("max_workers: 3", "max_workers: 0").replace("CPU: 2", "CPU: 0")
    file.write_text(told, encoding="utf-8")
    spec = on_gpus(imdb, 1)
    with pytest.raises(SweepError, match=r"found in .* only boss: 0 CPUs.*or more workers"):
        make_bill(plan_sweep(spec), spec, load_fleet(file))


def test_no_number_of_nodes_makes_a_sweep_shorter_than_its_longest_chain(imdb):
    spec = on_gpus(imdb, 1)
    plan = plan_sweep(spec)
    many = replace(FLEET, nodes=(HEAD, replace(WORKER, maximum=1000)), max_workers=1000)
    bill = make_bill(plan, spec, many)
    assert bill.wall_hours == plan.chain_hours > plan.total.hours / 95
    assert bill.nodes[1].count == 95, "a cell runs one trial at a time"
    assert bill.fits == 1000


def test_twice_the_parallel_trials_halve_the_longest_chain(imdb):
    once = plan_sweep(imdb).chain_hours
    spec = replace(imdb, search=replace(imdb.search, parallel_trials=2))
    plan = plan_sweep(spec)
    assert plan.chain_hours == pytest.approx(once / 2, rel=0.05)
    assert f"wait for each other takes {plan.chain_hours:,.2f} h" in plan.assumptions[-1]
    assert not any("parallel_trials" in line for line in plan_sweep(imdb).assumptions)


def test_cheap_nodes_are_used_first_and_the_limit_of_all_workers_holds(imdb):
    spec = on_gpus(imdb, 1)
    cheap = replace(WORKER, name="cheap", price_per_hour=0.2, maximum=2)
    fleet = replace(FLEET, nodes=(HEAD, WORKER, cheap), max_workers=3)
    bill = make_bill(plan_sweep(spec), spec, fleet)
    assert {line.node.name: line.count for line in bill.nodes} == {
        "head": 1,
        "cheap": 2,
        "worker": 1,
    }


def test_trials_without_gpus_run_on_the_head_too():
    spec = load_spec("demo", {"seeds": "1", "sizes": "[1000]"})
    bill = make_bill(plan_sweep(spec), spec, FLEET)
    assert [line.trials for line in bill.nodes] == [4, 8]
    alone = make_bill(plan_sweep(spec), spec, replace(FLEET, nodes=(HEAD,), max_workers=0))
    assert (alone.at_once, alone.money) == (4, pytest.approx(0.4 * alone.wall_hours))


def test_money_is_unknown_where_a_price_is_and_the_node_type_is_named(imdb):
    spec = on_gpus(imdb, 1)
    fleet = replace(FLEET, nodes=(HEAD, replace(WORKER, price_per_hour=None)))
    bill = make_bill(plan_sweep(spec), spec, fleet)
    assert (bill.money, bill.unpriced) == (None, ("worker",))


def test_gpu_machines_rented_for_trials_on_cpus_are_told(imdb):
    def warned(spec, *nodes):
        fleet = replace(FLEET, nodes=(HEAD, *nodes))
        return bill_warnings(make_bill(plan_sweep(spec), spec, fleet), spec.resources)

    on_cpus, plain = load_spec("imdb_small"), replace(WORKER, name="plain", gpus=0)
    (line,) = warned(on_cpus, WORKER)
    assert "resources.gpus is 0 and every worker has a GPU: worker would be rented" in line
    assert "--set resources.gpus=1" in line
    assert warned(on_cpus, plain, WORKER) == ()
    assert warned(on_cpus) == (), "nothing is rented beside the head"
    assert warned(on_gpus(imdb, 1), WORKER) == ()


@pytest.mark.parametrize("name", ["cluster.yaml", "gcp.yaml"])
def test_the_cloud_files_hold_the_published_grid_and_have_all_prices(imdb, name):
    bill = make_bill(plan_sweep(imdb), imdb, load_fleet(CLUSTER / name))
    assert bill.money is not None
    assert bill.money > 0
    assert bill.fits >= 2


def test_a_node_with_room_for_more_trials_than_there_are_is_paid_while_these_run():
    spec = load_spec("demo", {"regimes": "[domain]", "sizes": "[1000]", "seeds": "2"})
    spec = replace(spec, resources=ResourceSpec(cpus=1, gpus=0.125))
    plan = plan_sweep(spec)
    bill = make_bill(plan, spec, FLEET)
    _, worker = bill.nodes
    assert (worker.count, worker.trials, plan.total.cells) == (1, 8, 2)
    assert worker.hours == pytest.approx(plan.total.hours / 2 + 0.5)
    assert bill.wall_hours == pytest.approx(plan.total.hours / 2)
