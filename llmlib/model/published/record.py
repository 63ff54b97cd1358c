"""What is published of a model, in one record."""

from dataclasses import dataclass

from llmlib.model.config import ModelConfig


@dataclass(frozen=True)
class Published:
    """One named size of a family, with where its numbers stand.

    `total` counts every parameter once: a table that embedding and head share is one table. It is
    what `count_parameters(config)["total"]` gives. `total_source` is the page that prints an exact
    number for it: `total` itself, or `printed` where that page counts otherwise, and `note` says
    what it counts. Where `total_source` is empty, only the rounded `stated` is published, or no
    page of the makers with the exact number was found.
    """

    config: ModelConfig
    family: str
    title: str
    organisation: str
    year: int  # of the first release
    paper: str  # address of the paper or, without one, of the report or announcement
    config_source: str  # address of the configuration
    total: int
    stated: str  # the size as paper, card or name give it
    total_source: str = ""
    printed: int | None = None
    active: int | None = None  # parameters that one token uses, where not all of them
    note: str = ""


HUB = "https://huggingface.co/"
KERAS_HUB = "https://github.com/keras-team/keras-hub/blob/master/keras_hub/src/models/"


def config_file(repository: str) -> str:
    """Address of the configuration of a repository on the Hugging Face hub."""
    return f"{HUB}{repository}/blob/main/config.json"
