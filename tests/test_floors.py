"""`llmlib` is built in floors: a module imports from strictly lower floors, and from itself."""

import ast
from pathlib import Path

import llmlib

PACKAGE = Path(llmlib.__file__).parent
FLOORS = (
    {"runtime", "tokenizer", "model", "world", "logprobs", "retrieval"},
    {"data", "checkpoint", "generate", "lora", "train", "parallel", "interp", "quantize"},
    {"align", "evals", "agents", "chat"},
    {"recipes", "checks", "plots", "widgets"},
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}


def part(path: Path) -> str:
    """The top-level module or package of `llmlib` that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(path: Path) -> set[str]:
    """Top-level parts of `llmlib` that a file imports, anywhere in it."""
    package = ["llmlib", *path.relative_to(PACKAGE).parts[:-1]]
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) + 1 - node.level] if node.level else []
            base = start + (node.module.split(".") if node.module else [])
            names += [[*base, alias.name] for alias in node.names]
    return {name[1] for name in names if name[0] == "llmlib" and len(name) > 1} & set(FLOOR)


def test_every_part_has_a_floor():
    parts = {part(path) for path in PACKAGE.rglob("*.py")} - {"__init__"}
    assert parts <= set(FLOOR)


def test_imports_go_down():
    upward = []
    for path in sorted(PACKAGE.rglob("*.py")):
        own = part(path)
        if own == "__init__":
            continue
        for other in imported_parts(path) - {own}:
            if FLOOR[other] >= FLOOR[own]:
                upward.append(f"{path.relative_to(PACKAGE)} imports {other}")
    assert upward == []


def test_importing_the_package_imports_no_part_of_it():
    assert imported_parts(PACKAGE / "__init__.py") == set()
