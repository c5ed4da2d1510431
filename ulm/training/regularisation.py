"""Regularisation of activations, which language models and classifiers share.

B batch, T time, E embedding. Outputs of the last layer go in with the loss, a larger loss comes
out; the weights are those of fastai's text learners (alpha 2, beta 1).
"""

from torch import Tensor

ACTIVATION_PENALTY = 2.0
SLOWNESS_PENALTY = 1.0


def regularised(loss: Tensor, raw_BTE: Tensor, out_BTE: Tensor) -> Tensor:
    """Adds AR and TAR (Merity et al. 2017, section 4.7), as fastai's `RNNRegularizer` does."""
    activation = ACTIVATION_PENALTY * out_BTE.float().pow(2).mean()
    if raw_BTE.shape[1] < 2:
        return loss + activation
    slowness = (raw_BTE[:, 1:] - raw_BTE[:, :-1]).float().pow(2).mean()
    return loss + activation + SLOWNESS_PENALTY * slowness
