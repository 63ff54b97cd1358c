"""One saved reference a family for the whole session."""

import pytest
import torch

from tests.model.references import reference


@pytest.fixture(scope="session", params=["gpt2", "llama"])
def saved(request, tmp_path_factory):
    """(the Hugging Face model, the folder it was saved to)."""
    model = reference(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    model.save_pretrained(folder)
    return model, folder


@pytest.fixture(autouse=True)
def no_gradients():
    """Comparisons need none; tests of gradients switch them on."""
    with torch.no_grad():
        yield
