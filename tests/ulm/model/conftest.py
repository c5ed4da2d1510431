import pytest
import torch

from ulm.model import products

ONE_DNN = getattr(torch.ops.mkldnn, "_linear_pointwise", None)


@pytest.fixture(
    params=[
        "torch's own",
        pytest.param("oneDNN", marks=pytest.mark.skipif(ONE_DNN is None, reason="not in torch")),
    ]
)
def library(request, monkeypatch):
    """What a CPU's products run in, whatever processor this is."""
    chosen = ONE_DNN if request.param == "oneDNN" else None
    monkeypatch.setattr(products, "_one_dnn", lambda: chosen)
