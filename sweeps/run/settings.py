"""Settings: how `ulm` trains what a sweep's spec asks for, in its trials and where it is timed.

A spec and a trial's hyperparameters come in; the settings of a language model or a classifier go
out.
"""

from collections.abc import Mapping
from dataclasses import astuple

from sweeps.errors import SweepError
from sweeps.spec.cost import classifier_epochs
from sweeps.spec.values import SweepSpec
from ulm.model.architecture import Architecture
from ulm.training.classifier import ClassifierSettings
from ulm.training.language_model import LanguageModelSettings


def device(spec: SweepSpec) -> str:
    """The torch device that the spec's resources stand for."""
    return "cuda" if spec.resources.gpus > 0 else "cpu"


def architecture(spec: SweepSpec) -> Architecture:
    """Sizes of the sweep's encoders."""
    model = spec.model
    return Architecture(embedding=model.embedding, hidden=model.hidden, layers=model.layers)


def check_architecture(spec: SweepSpec, general: Architecture) -> None:
    """Check that a general encoder has the sizes of the sweep's.

    Raises:
        SweepError: It has others.
    """
    found, asked = astuple(general), astuple(architecture(spec))
    if found != asked:
        raise SweepError(
            "model must have the sizes of the general encoder, embedding, hidden and layers "
            f"{found}, found {asked}; change model or general.path"
        )


def language_model_settings(
    spec: SweepSpec, params: Mapping[str, float], *, is_general: bool, accumulation: int = 1
) -> LanguageModelSettings:
    """How a language model trains.

    Args:
        spec: The sweep.
        params: Hyperparameters of the trial.
        is_general: Whether it is the general model, which trains for another time.
        accumulation: Parts that batches are computed in to save memory.
    """
    shape, length = spec.language_model, spec.general if is_general else spec.language_model
    return LanguageModelSettings(
        epochs=length.epochs,
        minimum_steps=length.minimum_steps,
        batch=shape.batch,
        bptt=shape.bptt,
        learning_rate=params["learning_rate"],
        decay=params.get("decay", 1.0),
        dropout=shape.dropout,
        weight_decay=shape.weight_decay,
        clip=shape.clip,
        precision=shape.precision,
        accumulation=accumulation,
    )


def classifier_settings(
    spec: SweepSpec, params: Mapping[str, float], *, is_gradual: bool, accumulation: int = 1
) -> ClassifierSettings:
    """How a classifier trains, in the search and in `final` alike.

    The minimum of steps is turned into epochs of the whole label budget, so that the schedule has
    the same epochs whatever part of the labels is trained on.

    Args:
        spec: The sweep.
        params: Hyperparameters of the trial.
        is_gradual: Whether layers thaw one by one. Random weights have nothing to protect: all
            train at once and at one rate.
        accumulation: Parts that batches are computed in to save memory.
    """
    shape = spec.classifier
    return ClassifierSettings(
        epochs=classifier_epochs(spec),
        batch=shape.batch,
        bptt=shape.bptt,
        maximum_tokens=shape.maximum_tokens,
        learning_rate=params["learning_rate"],
        decay=params.get("decay", 1.0),
        gradual=is_gradual,
        dropout=shape.dropout,
        weight_decay=shape.weight_decay,
        precision=spec.language_model.precision,
        accumulation=accumulation,
    )
