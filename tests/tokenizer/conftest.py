"""Texts that several test files use."""

import os
import random
import sysconfig
from pathlib import Path

import pytest

# Real text and GPT-2's tokenizer files are not committed; tests that want them are skipped without.
DATA = Path(os.environ.get("TTA_DATA", Path(__file__).parents[3] / "shared" / "data"))

TORTURE = (
    "Hello, world!  I'm you're WE'LL it's\n\n\t tabs\r\nand   spaces   \n"
    "1234567890 3.14159 ½ Ⅷ ٣٤٥ 二〇二六\u3000全角　日本語のテキスト、漢字とかな。한국어 ไทย हिन्दी "
    "العربية עברית Ελληνικά ς Ünïcödé e\u0301 ﬁ ß İ ſ ﷽ "
    "👩‍👩‍👧‍👦🏳️‍🌈👍🏽 \u200b\u200e\ufeff\u2028\u2029\u00a0\u0085 \x00\x01\x7f "
    "def f(x):\n    return x**2  # ok\n<|endoftext|> <|end|> <0x41> \u2581 ## [UNK] <unk>"
    " zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz" + "a" * 1000 + " \U0010ffff\U000e0001 \ue000 end "
)


@pytest.fixture(scope="session")
def shared():
    """A function that gives the path of a file of real data, or skips where it is missing."""

    def path(name: str) -> Path:
        if not (DATA / name).exists():
            pytest.skip(f"needs {name} in the folder that the variable TTA_DATA names")
        return DATA / name

    return path


@pytest.fixture(scope="session")
def shakespeare(shared) -> str:
    return shared("tinyshakespeare.txt").read_text("utf-8")


@pytest.fixture(scope="session")
def python_source() -> str:
    """About 1.5 MB of code, comments and prose: a part of Python's standard library."""
    parts, size = [], 0
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        parts.append(path.read_text("utf-8"))
        size += len(parts[-1])
        if size > 1_500_000:
            break
    return "".join(parts)


@pytest.fixture(scope="session")
def made_up() -> str:
    """About 1.2 MB of invented words, with a Zipf-like distribution; needs no file."""
    rng = random.Random(0)
    syllables = [c + v + e for c in "bdfgklmnprstvz" for v in "aeiouéø" for e in ("", "n", "rt")]
    words = ["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(20_000)]
    chosen = rng.choices(words, [1 / rank for rank in range(1, len(words) + 1)], k=190_000)
    ends = rng.choices([" ", " ", " ", ", ", ".\n", " 1", " 27 "], k=len(chosen))
    return "".join(word + end for word, end in zip(chosen, ends, strict=True))


@pytest.fixture(scope="session")
def torture() -> str:
    return TORTURE
