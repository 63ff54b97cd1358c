"""Hugging Face checkpoints: `from_hf` reads a folder or a hub name, `to_hf` writes a folder.

What is peculiar to a family is folded in here, so that the model stays one plain thing: `family`
says what a family is, `gpt`, `falcon`, `llama` and `gemma` say it of each, `folder` knows files.
"""

from llmlib.checkpoint.hf.folder import local_folder
from llmlib.checkpoint.hf.read import FAMILIES, from_hf
from llmlib.checkpoint.hf.write import to_hf

__all__ = ["FAMILIES", "from_hf", "local_folder", "to_hf"]
