"""Words: numbers and states of trials as a person reads them in a terminal (pure)."""

from datetime import datetime

from sweeps.search.records import TrialRecord
from sweeps.search.spending import Spent
from sweeps.spec.cells import Stage
from sweeps.spec.spaces import accelerator
from sweeps.spec.values import SweepSpec


def duration(seconds: float) -> str:
    """Seconds for people: `48 s`, `12 min`, `3 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def span(low_seconds: float, high_seconds: float) -> str:
    """A range of seconds, a unit that both ends share said once: `20–34 min`."""
    low, high = duration(low_seconds), duration(high_seconds)
    if low == high:
        return low
    number, _, unit = low.partition(" ")
    return f"{number}–{high}" if high.endswith(unit) and "h" not in high else f"{low} – {high}"


def moment(unix_seconds: float, now: float) -> str:
    """Local time of day, with the weekday where it is not today, with the date from a week on."""
    then, today = datetime.fromtimestamp(unix_seconds), datetime.fromtimestamp(now)
    days = (then.date() - today.date()).days
    return (
        f"{then:%H:%M}" if days == 0 else f"{then:%a %H:%M}" if days < 7 else f"{then:%d %b %H:%M}"
    )


def score(stage: Stage, value: float) -> str:
    """A stage's value for people: a loss in nats, or an accuracy in per cent."""
    return f"loss {value:.3f}" if stage is Stage.LANGUAGE_MODEL else f"{100 * value:.1f} %"


def settings(record: TrialRecord) -> str:
    """The trial's hyperparameters in short, e.g. `learning_rate 0.0045, decay 2.6`."""
    return ", ".join(f"{name} {value:.3g}" for name, value in record.params.items())


def value_so_far(record: TrialRecord) -> str:
    """What the last epoch of a running trial gave; empty before the first."""
    if not record.progress:
        return ""
    stage, value = record.key.study.stage, record.progress[-1].value
    # `final` holds out no labels: until it has scored the test documents it knows its loss alone.
    return f"loss {value:.3f}" if stage is Stage.FINAL else score(stage, value)


def epoch(record: TrialRecord) -> str:
    """How far a running trial is: `epoch 4/8, loss 4.600`."""
    if not record.progress:
        return "starting"
    last = record.progress[-1]
    return f"epoch {last.epoch}/{last.num_epochs}, {value_so_far(record)}"


def ending(record: TrialRecord) -> str:
    """How a trial ended: its score, or its state and the reason."""
    if record.outcome is not None:
        return f"finished, {score(record.key.study.stage, record.outcome.value)}"
    reason = f": {record.failure}" if record.failure else ""
    return f"{record.state}{reason}"


def attempt(record: TrialRecord) -> str:
    """Stage and number of a trial, and which attempt where it is not the first."""
    again = f" (attempt {record.key.attempt + 1})" if record.key.attempt else ""
    return f"{record.key.study.stage} {record.key.number}{again}"


def spending(spec: SweepSpec, spent: Spent) -> str:
    """What trials held, e.g. `GPU time 3 h 05 min, 12 min of it wasted, cost of trials 1.62`.

    Empty of nothing. Money is that of nodes while they hold trials: no head, no start, no idling.
    """
    if not spent.accelerator_seconds:
        return ""
    words = [f"{accelerator(spec)} time {duration(spent.accelerator_seconds)}"]
    if spent.wasted_seconds >= 1:
        words.append(f"{duration(spent.wasted_seconds)} of it wasted")
    money = spent.money(spec.budget.price_per_accelerator_hour)
    if money is not None:
        words.append(f"cost of trials {money:,.2f}")
    return ", ".join(words)
