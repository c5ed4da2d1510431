"""Checks: what would stop a run, found before it starts.

A spec comes in, results go out, all of them at once. Nothing is trained and nothing stays on the
storage; the corpus is opened for real, because a missing column is best found now.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from itertools import compress
from typing import Self

from sweeps.check_result import CheckResult
from sweeps.errors import SweepError
from sweeps.paths import SweepPaths
from sweeps.spec.cost import classifier_epochs
from sweeps.spec.general import MOST_SHARED
from sweeps.spec.meaning import CONTENT, JSON
from sweeps.spec.values import SweepSpec
from sweeps.text_notes import (
    blanks,
    classes_of,
    copies_in_test,
    disputed_labels,
    empty_documents,
    left_out,
    long_documents,
    no_labels,
    other_letters,
    sample,
    unknown_to,
    unknown_words,
)
from ulm.errors import UlmError
from ulm.processors import has_gpu, processors
from ulm.regimes import Regime
from ulm.text.corpora import Corpus, CorpusSource, Part


@dataclass(frozen=True, kw_only=True, slots=True)
class _Seen:
    """What is kept of a corpus that was read, so that two are never in memory at once.

    Args:
        fingerprint: Of what it holds, as cells record it.
        pool: Digests of the documents outside the test part.
        tests: And of those in it.
        sample: Some of its documents.
    """

    fingerprint: str
    pool: frozenset[bytes]
    tests: frozenset[bytes]
    sample: tuple[str, ...]

    @classmethod
    def of(cls, corpus: Corpus) -> Self:
        is_test = corpus.parts == Part.TEST
        return cls(
            fingerprint=corpus.fingerprint[:16],
            pool=frozenset(compress(corpus.digests, ~is_test)),
            tests=frozenset(compress(corpus.digests, is_test)),
            sample=sample(corpus.texts),
        )


def check_sweep(spec: SweepSpec) -> tuple[CheckResult, ...]:
    """Check everything a run needs besides the spec itself, which is valid by construction."""
    corpus, domain = _check_text("corpus", spec.corpus, partial(_check_domain_text, spec))
    general, general_text = _check_general(spec, domain)
    seen = zip(CONTENT, (domain, general_text), strict=True)
    content: dict[str, JSON] = {key: text.fingerprint for key, text in seen if text is not None}
    checks: dict[str, Callable[[SweepSpec], CheckResult]] = {
        "search": _check_search,
        "storage": _check_storage,
        "tracking": _check_tracking,
        "ledger": partial(_check_ledger, content=content),
        "resources": _check_resources,
    }
    others = (_guarded(what, partial(check, spec)) for what, check in checks.items())
    return (corpus, general, *others)


def _guarded(what: str, check: Callable[[], CheckResult]) -> CheckResult:
    try:
        return check()
    except (SweepError, UlmError) as error:
        return CheckResult.failed(what, str(error))


def _check_text(
    what: str, source: CorpusSource, check: Callable[[Corpus], CheckResult]
) -> tuple[CheckResult, _Seen | None]:
    """Open a corpus and check it; what is known of it is told also where it can not serve."""
    from ulm.text.corpora import open_corpus

    try:
        corpus = open_corpus(source)
    except UlmError as error:
        return CheckResult.failed(what, str(error)), None
    return _guarded(what, partial(check, corpus)), _Seen.of(corpus)


def _noted(what: str, detail: str, notes: Sequence[str]) -> CheckResult:
    make = CheckResult.note if notes else CheckResult.ok
    return make(what, "; ".join([detail, *notes]))


def _check_domain_text(spec: SweepSpec, corpus: Corpus) -> CheckResult:
    from sweeps.run.draws import check_draws

    check_draws(spec, corpus.parts, corpus.labels, corpus.label_names)
    is_test = corpus.parts == Part.TEST
    labels = corpus.labels[~is_test & (corpus.labels >= 0)]
    counts = {name: int((labels == label).sum()) for label, name in enumerate(corpus.label_names)}
    num_scored = is_test.sum() if spec.test.documents is None else spec.test.documents
    detail = (
        f"{(~is_test).sum():,} documents for training, {len(labels):,} of them labelled "
        f"({classes_of(counts)}), {num_scored:,} scored"
    )
    if num_repeats := len(corpus) - len(set(corpus.digests)):
        detail += f"; {num_repeats:,} documents repeat another"
    if num_repeats := corpus.left_out.repeats:
        detail += f"; {num_repeats:,} more repeat a test document and are left out"
    texts = sample(corpus.texts)
    notes = [
        *no_labels(corpus.label_names, spec.corpus),
        *left_out(spec.corpus),
        *empty_documents(corpus),
        *disputed_labels(corpus),
        *copies_in_test(corpus),
        *blanks(texts),
    ]
    if set(spec.regimes) != {Regime.BOW}:
        notes += long_documents(texts, spec.classifier.maximum_tokens)
    return _noted("corpus", detail, notes)


def _check_general(spec: SweepSpec, domain: _Seen | None) -> tuple[CheckResult, _Seen | None]:
    what = "general"
    if not any(regime.starts_from_general for regime in spec.regimes):
        return CheckResult.ok(what, "no regime needs a general model"), None
    texts = () if domain is None else domain.sample
    if spec.general.kind == "wikitext-103":
        detail = "fastai's WikiText-103 weights, downloaded at the first run where missing"
        return CheckResult.note(what, "; ".join([detail, *other_letters(texts)])), None
    if spec.general.kind == "encoder":
        return _guarded(what, partial(_check_encoder, spec, texts)), None
    source = spec.general.source
    assert source is not None, "neither weights nor an encoder: a corpus"
    return _check_text(what, source, partial(_check_general_text, spec, source, domain))


def _check_general_text(
    spec: SweepSpec, source: CorpusSource, domain: _Seen | None, corpus: Corpus
) -> CheckResult:
    from sweeps.run.draws import check_general

    what = "general"
    pool = frozenset() if domain is None else domain.pool
    tests = frozenset() if domain is None else domain.tests
    num_left_out = sum(digest in tests for digest in corpus.digests)
    check_general(len(corpus) - num_left_out)
    detail = f"{len(corpus) - num_left_out:,} documents of {corpus.name} to pretrain on"
    num_shared = len(pool.intersection(corpus.digests))
    if num_shared > MOST_SHARED * len(pool):
        detail += (
            f", which hold {num_shared:,} of the {len(pool):,} domain documents to train on: ulm "
            "would know domain text, so that its distance to domain tells little; set general to "
            "other text"
        )
        return CheckResult.note(what, detail)
    if num_left_out:
        detail += f"; {num_left_out:,} more repeat a test document of the domain and are left out"
    notes = [
        *left_out(source),
        *empty_documents(corpus),
        *([] if domain is None else unknown_words(domain.sample, corpus.texts)),
    ]
    return _noted(what, detail, notes)


def _check_encoder(spec: SweepSpec, texts: Sequence[str]) -> CheckResult:
    from sweeps.run.settings import check_architecture
    from ulm.model.encoder import Encoder

    assert spec.general.path is not None, "kind encoder has a path"
    encoder = Encoder.load(spec.general.path)
    check_architecture(spec, encoder.architecture)
    notes = unknown_to(texts, set(encoder.vocabulary.words)) if texts else []
    return _noted("general", f"an encoder of {astuple(encoder.architecture)}", notes)


def _check_search(spec: SweepSpec) -> CheckResult:
    search, epochs = spec.search, classifier_epochs(spec)
    warmup = search.warmup_of(search.classifier)
    notes = []
    if search.pruner == "median" and warmup >= epochs:
        notes.append(
            f"warmup_epochs of search is {warmup}, classifiers have {epochs} epochs: none is ever "
            "pruned; lower it, or say so with search.pruner: none"
        )
    groups = spec.model.layers + 2  # of an embedding, layers and a head, one thaws each epoch
    if epochs < groups and any(r.starts_from_general or r.trains_on_domain for r in spec.regimes):
        notes.append(
            f"classifiers have {epochs} epochs, and what was pretrained thaws a layer an epoch: "
            f"with fewer than {groups} part of it never trains; raise classifier.epochs"
        )
    if search.parallel_trials > 1:
        notes.append(
            f"search.parallel_trials is {search.parallel_trials}: pruning depends on when other "
            "trials end, so a repeated or resumed sweep need not give the same table"
        )
    if notes:
        return CheckResult.note("search", "; ".join(notes))
    return CheckResult.ok("search", f"pruner {search.pruner}")


def _check_storage(spec: SweepSpec) -> CheckResult:
    from sweeps.writable import check_storage

    paths = SweepPaths.of(spec)
    check_storage(paths)
    return CheckResult.ok("storage", f"{paths.storage} can be written")


def _check_tracking(spec: SweepSpec) -> CheckResult:
    if spec.tracking.uri is None:
        return CheckResult.ok("tracking", "SQLite beside the sweep")
    from sweeps.record.tracking import check_tracking

    check_tracking(spec.tracking.uri, spec.ledger.url)
    return CheckResult.ok("tracking", "the tracking server answers")


def _check_ledger(spec: SweepSpec, content: Mapping[str, JSON]) -> CheckResult:
    from sweeps.search.studies import check_ledger, read_records

    paths = SweepPaths.of(spec)
    check_ledger(paths, spec, content)
    records = read_records(paths, spec)
    return CheckResult.ok("ledger", f"{len(records)} trials are recorded")


def _check_resources(spec: SweepSpec) -> CheckResult:
    cpus, gpus = processors(), spec.resources.gpus
    detail = f"{spec.resources.cpus} CPUs and {gpus:g} GPUs a trial, {cpus} CPUs here"
    if gpus > 0 and not has_gpu():
        detail += "; no GPU here: run on a cluster, or pass --set resources.gpus=0"
        return CheckResult.note("resources", detail)
    if spec.resources.cpus > cpus:
        detail += "; run on a cluster, or lower resources.cpus"
        return CheckResult.note("resources", detail)
    return CheckResult.ok("resources", detail)
