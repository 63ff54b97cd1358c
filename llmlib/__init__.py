"""The library of *Token to Agent*: a chapter writes each part by hand, proves it, and imports it.

Modules are built in floors and import strictly lower floors only; nothing happens on import.
`llmlib.from_hf("openai-community/gpt2")`, or a folder, is `llmlib.checkpoint.from_hf`.
"""

__version__ = "0.1.0"


def __getattr__(name: str):
    """`from_hf`, fetched when it is first asked for, so that `import llmlib` imports nothing."""
    if name != "from_hf":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return import_module("llmlib.checkpoint").from_hf
