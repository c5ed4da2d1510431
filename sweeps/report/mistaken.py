"""Mistaken: the test documents behind the numbers, and the words whose company changed.

Predictions, texts and encoders are read from the sweep's folders; a section goes out. What is not
at hand is left out with the reason.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sweeps.answer.mistakes import Judged, Mistaken, Mistakes, find_mistakes
from sweeps.answer.neighbours import Movement, movement
from sweeps.answer.predictions import Predicted, read_predictions
from sweeps.answer.readable import shortened
from sweeps.answer.sources import read_embedding, text_of
from sweeps.report.blocks import Block, Fold, Quote, Section, Table, Text
from sweeps.report.evidence import Evidence
from sweeps.report.phrases import counted, number, percent, plain
from sweeps.search.records import TrialState
from sweeps.spec.cells import Stage
from ulm.regimes import Regime

if TYPE_CHECKING:
    from ulm.text.tokens import TokenArray

SURE = 0.9  # probability of a class
_QUOTED = (
    "Both quote test documents: where these are confidential, so is this page, and its copy in the "
    "tracking record."
)


def mistaken_section(evidence: Evidence) -> Section | None:
    """The section; None where no regime with a size axis is finished."""
    lead = evidence.findings.lead
    if lead is None:
        return None
    found = find_mistakes(_predicted(evidence, lead.regime))
    if found is None:
        blocks: tuple[Block, ...] = (
            Text(
                text=f"Not shown: the predictions of `{lead.regime}` are not at hand, or no test "
                "document was scored by all its cells."
            ),
        )
    else:
        blocks = _documents(evidence, lead.regime, found)
    return Section(title="What it gets wrong", blocks=(*blocks, *_words(evidence)))


def _predicted(evidence: Evidence, regime: str) -> dict[int, dict[int, Predicted]]:
    """Size → seed → predictions, of the finished cells of a regime that have them."""
    found: dict[int, dict[int, Predicted]] = {}
    for row in evidence.rows:
        if row.regime == regime and row.size is not None and row.is_finished:
            predicted = read_predictions(evidence.paths.predictions(row.cell))
            if predicted is not None:
                found.setdefault(row.size, {})[row.seed] = predicted
    return found


def _documents(evidence: Evidence, regime: str, found: Mistakes) -> tuple[Block, ...]:
    tokens = evidence.tokens
    blocks: list[Block] = []
    if len(found.sizes) > 1:
        blocks.append(Text(text=_counts(regime, found)))
    if tokens is None:
        blocks.append(
            Text(text="Texts are not shown: the corpus's token array is not on this machine.")
        )
        return tuple(blocks)
    if found.learnt:
        quotes = tuple(_learnt(document, tokens) for document in found.learnt)
        blocks.append(Fold(title="Set right by more domain text", blocks=quotes))
    if found.surest:
        is_sure = min(document.chance for document in found.surest) >= SURE
        manner = "and sure of it" if is_sure else "the surest first"
        title = f"Wrong, {manner}, at {number(found.sizes[-1])} documents"
        blocks.append(Fold(title=title, blocks=tuple(_surest(d, tokens) for d in found.surest)))
    if found.learnt or found.surest:
        blocks.append(Text(text=_QUOTED, is_soft=True))
    return tuple(blocks)


def _counts(regime: str, found: Mistakes) -> str:
    smallest, largest = number(found.sizes[0]), number(found.sizes[-1])
    every = "" if found.num_seeds == 1 else f" at all {counted(found.num_seeds, 'seed')}"
    return (
        f"From {smallest} to {largest} domain documents `{regime}` sets "
        f"{number(found.num_learnt)} of {number(found.num_documents)} test documents right, wrong "
        f"before and right after{every}; {number(found.num_forgotten)} go the other way, and "
        f"{number(found.num_never)} are wrong at every size and seed."
    )


def _learnt(document: Judged, tokens: "TokenArray") -> Quote:
    chances = ", ".join(f"{percent(chance)} at {number(n)}" for n, chance in document.chances)
    return Quote(
        text=shortened(text_of(tokens, document.document)),
        note=f"Class {_class(tokens, document.label)}, given a probability of {chances}.",
    )


def _class(tokens: "TokenArray", label: int) -> str:
    return f"`{plain(tokens.label_names[label])}`"


def _surest(document: Mistaken, tokens: "TokenArray") -> Quote:
    return Quote(
        text=shortened(text_of(tokens, document.document)),
        note=f"Class {_class(tokens, document.label)}, called {_class(tokens, document.said)} with "
        f"{percent(document.chance)}.",
    )


def _words(evidence: Evidence) -> tuple[Block, ...]:
    """How the company of words changed from `ulm` to `ulm+domain`, or why that is not shown."""
    both = (Regime.ULM, Regime.ULM_DOMAIN)
    if not all(regime in evidence.spec.regimes for regime in both):
        return ()
    keys = _encoders(evidence)
    found = [read_embedding(evidence.paths, keys[r]) for r in both if r in keys]
    first, second = found if len(found) == len(both) else (None, None)
    moved = None if first is None or second is None else movement(first, second)
    if moved is None:
        reason = "the encoders of `ulm` and `ulm+domain` are not both to be had from here"
        if first is not None and second is not None:
            reason = "the two encoders share too few words"
        return (Text(text=f"Words whose neighbours moved are not shown: {reason}."),)
    return (_moved(moved),)


def _encoders(evidence: Evidence) -> Mapping[Regime, str]:
    """Store key of the encoder behind the first seed's `final`, `ulm+domain` at its largest."""
    keys: dict[Regime, str] = {}
    finals = {
        record.key.study.cell_id: record.encoder
        for record in evidence.ledger.attempts
        if record.key.study.stage is Stage.FINAL and record.state is TrialState.FINISHED
    }
    for row in sorted(evidence.rows, key=lambda row: (row.size or 0, -row.seed)):
        key = finals.get(row.cell)
        if row.is_finished and key is not None:
            keys[Regime(row.regime)] = key
    return keys


def _moved(found: Movement) -> Fold:
    lines = tuple(
        (word.word, percent(word.kept), ", ".join(word.before), ", ".join(word.after))
        for word in found.moved
    )
    note = (
        f"Of the {number(found.num_words)} most frequent words that both know, these kept the "
        f"fewest of their {found.num_neighbours} nearest neighbours; on average "
        f"{percent(found.kept)} stay."
    )
    header = ("word", "kept", "neighbours in `ulm`", "neighbours in `ulm+domain`")
    return Fold(
        title="Words whose neighbours moved most between `ulm` and `ulm+domain`",
        blocks=(Text(text=note), Table(header=header, lines=lines, num_text=4)),
    )
