"""The page on the world says what the world says."""

import math
import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "book" / "world.md"


def test_the_table_of_families_is_computed(world):
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| \**(\w+)\** \| [^|]+ \| (\d+) % \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", text, re.M
    )
    shares = world.families | {"all": 1.0}
    assert [row[0] for row in rows] == list(shares)
    for family, share, nats, size, rate in rows:
        measured = world.measure(None if family == "all" else family)
        assert share == f"{100 * shares[family]:.0f}"
        assert nats == f"{measured.nats:.2f}"
        assert size == f"{measured.bytes:.1f}"
        assert rate == f"{measured.nats / measured.bytes:.4f}"


def test_the_sample_documents_are_documents_with_that_probability(world):
    text = PAGE.read_text(encoding="utf-8")
    samples = re.findall(r"\*\*(\w+)\*\* \((-[\d.]+) nats\)\n\n```text\n(.*?)\n```", text, re.S)
    assert [family for family, _, _ in samples] == list(world.families)
    for family, nats, document in samples:
        assert f"{world.log_prob(document, family):.2f}" == nats


def test_the_map_is_the_map(world):
    text = PAGE.read_text(encoding="utf-8")
    for region in world.regions:
        row = next(line for line in text.split("\n") if line.startswith(f"| {region} |"))
        for city in world.cities:
            truth = world.entities.truth
            entry = f"{city} ({truth[city, 'founded']}), {truth[city, 'landmark']}"
            assert (entry in row) == (truth[city, "region"] == region)
    assert math.isfinite(world.log_prob("Rosewood desks cost 10 crowns. They are red."))
