"""One saved reference a family for the whole session."""

import pytest
import torch

from tests.model.references import REFERENCES, reference, save_t5


@pytest.fixture(scope="session")
def save_reference(tmp_path_factory):
    """name -> (the Hugging Face model, the folder it was saved to), made once a session."""
    made = {}

    def save(name: str):
        if name not in made:
            model, folder = reference(name), tmp_path_factory.mktemp(name)
            model.save_pretrained(folder)
            made[name] = model, folder
        return made[name]

    return save


@pytest.fixture(scope="session", params=REFERENCES)
def saved(request, save_reference):
    """(the Hugging Face model, the folder it was saved to), for every style of every family."""
    return save_reference(request.param)


@pytest.fixture(scope="session", params=["1.0", "1.1"])
def t5(request, tmp_path_factory):
    """(the Hugging Face model, the folder it was saved to), for both revisions of T5."""
    folder = tmp_path_factory.mktemp("t5")
    return save_t5(request.param, folder), folder


@pytest.fixture(autouse=True)
def no_gradients():
    """Comparisons need none; tests of gradients switch them on."""
    with torch.no_grad():
        yield
