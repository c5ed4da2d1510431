"""Certainty: how sure the comparisons of the answer are (pure).

Evidence comes in; a section goes out.
"""

from sweeps.answer.agreement import Agreement
from sweeps.answer.claims import Claim, claims_of
from sweeps.answer.paired import MOST_MORE, POWER, McNemar, noether_seeds
from sweeps.answer.statistics import fewest_seeds
from sweeps.report.blocks import Block, Section, Table, Text
from sweeps.report.evidence import Evidence
from sweeps.report.phrases import (
    NONE,
    counted,
    joined,
    number,
    point_name,
    together,
    win_chance,
    with_interval,
)

_HEADER = (
    "compared with",
    "points",
    "seeds above",
    "P(better)",
    "more seeds",
    "right alone",
    "wrong alone",
    "McNemar p",
)


def certainty_section(evidence: Evidence) -> Section | None:
    """The leading regime at its largest size against every other; None without a comparison."""
    top = evidence.top
    claims = () if top is None else claims_of(evidence.scores, top)
    if top is None or not claims:
        return None
    blocks: list[Block] = [
        Text(text=f"{point_name(top)} domain documents, seed by seed against the others:"),
        Table(header=_HEADER, lines=tuple(_line(claim) for claim in claims)),
        Text(text=_how_to_read(claims), is_soft=True),
    ]
    if evidence.findings.agreement is not None:
        blocks.append(Text(text=_agreement(evidence.findings.agreement)))
    return Section(title="How sure is that?", blocks=tuple(blocks))


def _line(claim: Claim) -> tuple[str, ...]:
    found = claim.difference
    ties = f", {found.ties} equal" if found.ties else ""
    return (
        point_name(found.second),
        with_interval(found.accuracy),
        f"{found.wins} of {found.num_seeds}{ties}",
        win_chance(claim.difference),
        _more_seeds(claim),
        *_test(claim.test),
    )


def _more_seeds(claim: Claim) -> str:
    """Seeds that a claim needs, whichever way the seeds went."""
    worse = "worse: " if claim.difference.probability.value < 0.5 else ""
    if claim.more_seeds is None:
        return f"{worse}over {MOST_MORE}"
    return f"{worse}{number(claim.more_seeds) if claim.more_seeds else 'enough'}"


def _test(found: McNemar | None) -> tuple[str, str, str]:
    if found is None:
        return NONE, NONE, NONE
    p_value = "< 0.001" if found.mid < 0.001 else f"{found.mid:.3f}"
    return number(found.first_only), number(found.second_only), p_value


def _how_to_read(claims: tuple[Claim, ...]) -> str:
    text = " ".join((_claim_rule(claims), *_noether(claims)))
    if any(claim.test is not None for claim in claims):
        text += (
            " Right alone and wrong alone count the test documents that tell the two apart, over "
            "all seeds; McNemar's p asks whether these trained models differ on new documents, not "
            "whether new seeds would."
        )
    return text


def _claim_rule(claims: tuple[Claim, ...]) -> str:
    compared = claims[0].difference.num_comparisons
    return (
        "P(better) is the chance of scoring higher at a new seed, with its exact interval "
        f"({together(compared)}; that of points is 95 % each). Only where it leaves one half out "
        f"is it called better or worse, for which {fewest_seeds(compared)} seeds that agree are "
        "the fewest. More seeds: with so many, won as often as those seen, it is called so with a "
        f"chance of {100 * POWER:.0f} %."
    )


def _noether(claims: tuple[Claim, ...]) -> list[str]:
    """Noether's number for every P that is no claim yet."""
    open_claims = [claim for claim in claims if claim.more_seeds != 0]
    found = [claim.difference.probability.value for claim in open_claims]
    seen = sorted({max(value, 1 - value) for value in found}, reverse=True)
    counts = [(value, noether_seeds(value)) for value in seen]
    named = (f"{number(n)} where P is {value:.2f}" for value, n in counts if n is not None)
    said = tuple(dict.fromkeys(named))  # 2/3 and 1 - 1/3 are one P
    if not said:
        return []
    return [f"One comparison of seeds that are not paired takes, after Noether, {joined(said)}."]


def _agreement(found: Agreement) -> str:
    return (
        f"{counted(found.num_seeds, 'seed')} put {number(found.num_points)} points in order with "
        f"Kendall's W = {found.concordance:.2f}: 1 is the same order at every seed, 0 none at all."
    )
