"""ULMFiT on any text: corpora, AWD-LSTM language models and classifiers, usable without sweeps.

Text goes in, trained models and numbers come out. The names below are the whole public surface;
they are loaded when first used, so that importing `ulm` costs nothing.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "Architecture": "ulm.model.architecture",
    "ClassifierSettings": "ulm.training.classifier",
    "CorpusSource": "ulm.text.corpora",
    "Encoder": "ulm.model.encoder",
    "Labeller": "ulm.labeller",
    "LanguageModelSettings": "ulm.training.language_model",
    "Regime": "ulm.regimes",
    "adapt_encoder": "ulm.model.encoder",
    "count_vocabulary": "ulm.text.vocabulary",
    "export_fastai": "ulm.model.fastai_format",
    "import_fastai": "ulm.model.fastai_format",
    "load_labeller": "ulm.labeller",
    "lookup": "ulm.text.vocabulary",
    "make_subset": "ulm.text.subsets",
    "prepare_tokens": "ulm.text.tokens",
    "random_encoder": "ulm.model.encoder",
    "save_bag_of_words": "ulm.labeller",
    "save_classifiers": "ulm.labeller",
    "train_bag_of_words": "ulm.training.bag_of_words",
    "train_classifier": "ulm.training.classifier",
    "train_language_model": "ulm.training.language_model",
}

__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ulm' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
