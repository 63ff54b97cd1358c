"""The course's own tokenizer, random walks through a constraint, and random schemas."""

import random

import numpy as np
import pytest
import torch

from llmlib.checkpoint import load_shipped_tokenizer
from llmlib.model import ModelConfig, Transformer


@pytest.fixture(scope="session")
def tokenizer():
    return load_shipped_tokenizer()


@pytest.fixture(scope="session")
def model():
    torch.manual_seed(0)
    config = ModelConfig(
        vocab_size=1024, d_model=32, n_layers=1, n_heads=2, max_seq_len=512, init_std=0.3
    )
    return Transformer(config)


@pytest.fixture(scope="session")
def walk():
    """A text that a constraint allows: random allowed tokens until it may end; None if too long."""

    def take(constraint, rng: np.random.Generator, limit: int = 400, stop: float = 0.3):
        state, ids = constraint.start(), []
        while len(ids) < limit:
            allowed = np.flatnonzero(constraint.allowed(state).numpy())
            if constraint.done(state) and (len(allowed) == 0 or rng.random() < stop):
                return ids
            ids.append(int(rng.choice(allowed)))
            state = constraint.advance(state, ids[-1])
        return None

    return take


class RandomSchema:
    """Draws JSON Schemas from every keyword that is covered; texts stay within some 300 tokens."""

    def __init__(self, seed: int):
        self.rng = random.Random(seed)
        self.definitions: dict[str, dict] = {}

    def draw(self) -> dict:
        schema = self.any(3)
        return schema | {"$defs": self.definitions} if self.definitions else schema

    def any(self, depth: int) -> dict:
        kinds = ["string", "integer", "number", "boolean", "null", "enum", "const"]
        kinds += ["object", "object", "array", "any_of", "ref", "types"] if depth else []
        return getattr(self, f"{self.rng.choice(kinds)}_")(depth)

    def string_(self, depth):
        rng, low = self.rng, self.rng.choice([0, 0, 1, 4])
        schema = {"type": "string", "maxLength": low + rng.randrange(6)}
        schema |= {"minLength": low} if rng.random() < 0.5 else {}
        patterns = ['^[a-z"\\\\é]*$', "\\d", "^(ja|nein|日本)", "x.*y|z$", "[^a]b?", "^\\w+ \\w+$"]
        if rng.random() < 0.4:
            schema = {"type": "string", "pattern": rng.choice(patterns), "maxLength": 9}
        return schema

    def integer_(self, depth):
        rng, schema = self.rng, {"type": "integer"}
        low = rng.choice([-1200, -7, 0, 3, 99, 12345]) + rng.choice([0, 0.5])
        if rng.random() < 0.6:
            schema[rng.choice(["minimum", "exclusiveMinimum"])] = low
        if rng.random() < 0.6:
            high = low + rng.choice([2, 5, 90, 12345.25])
            schema[rng.choice(["maximum", "exclusiveMaximum"])] = high
        return schema

    def number_(self, depth):
        return self.integer_(depth) | {"type": "number"}

    def boolean_(self, depth):
        return {"type": "boolean", "description": "anything"}

    def null_(self, depth):
        return {"type": "null"}

    def enum_(self, depth):
        values = ["a", 'say "é"', "", 1, -2.5, 1e-9, True, None, [1, {"k": []}], {"b": 1, "a": 2}]
        return {"enum": self.rng.sample(values, self.rng.randint(1, 4))}

    def const_(self, depth):
        return {"const": self.enum_(depth)["enum"][0]}

    def object_(self, depth):
        names = self.rng.sample(["a", "name", 'q"uo', "é", "x/y~z"], self.rng.randint(0, 4))
        schema = {
            "type": "object",
            "properties": {name: self.any(depth - 1) for name in names},
            "required": [name for name in names if self.rng.random() < 0.6],
        }
        if self.rng.random() < 0.7:
            schema["additionalProperties"] = False
        return schema

    def array_(self, depth):
        low = self.rng.randrange(3)
        schema = {"type": "array", "items": self.any(depth - 1), "maxItems": low + 2}
        return schema | ({"minItems": low} if self.rng.random() < 0.6 else {})

    def any_of_(self, depth):
        return {"anyOf": [self.any(depth - 1) for _ in range(self.rng.randint(1, 3))]}

    def ref_(self, depth):
        name = f"d{len(self.definitions)}"
        self.definitions[name] = {}
        self.definitions[name] = self.any(depth - 1)
        return {"$ref": f"#/$defs/{name}"}

    def types_(self, depth):
        return {"type": ["null", "boolean", "string"], "maxLength": 2}


@pytest.fixture(scope="session")
def random_schema():
    return lambda seed: RandomSchema(seed).draw()
