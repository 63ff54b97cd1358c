"""Speculative decoding: the text has the large model's distribution, and a wrong rule is seen."""

import importlib
import itertools
import math

import pytest
import torch

from llmlib.generate import generate, speculative
from llmlib.generate.sampling import adjust
from llmlib.model import ModelConfig, Transformer

module = importlib.import_module("llmlib.generate.speculative")  # the name is the function's, too

CONFIG = ModelConfig(vocab_size=3, d_model=8, n_layers=1, n_heads=2, max_seq_len=16, init_std=0.8)
PROMPT = [0, 1, 2, 0]
N_NEW = 3
WRONG_RULES = {
    "the residual is the target itself": ("residual", lambda p, q: p),
    "the residual is the draft": ("residual", lambda p, q: q),
    "always kept": ("accept_probability", lambda p, q: torch.ones_like(p)),
    "the ratio upside down": ("accept_probability", lambda p, q: (q / p).clamp(max=1)),
    "kept with the target's probability": ("accept_probability", lambda p, q: p),
    "kept where the target finds it likelier": (
        "accept_probability",
        lambda p, q: (p >= q).float(),
    ),
}


def tiny(seed, **changes):
    torch.manual_seed(seed)
    return Transformer(CONFIG.replace(**changes)).eval()


@pytest.fixture(scope="module")
def pair():
    return tiny(0), tiny(1)


@pytest.fixture(scope="module")
def larger():
    """(model, draft) of 40 tokens: the draft is the model with noise, so that many guesses hold."""
    options = {"vocab_size": 40, "d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 48}
    model, draft = tiny(0, **options, init_std=0.3), tiny(0, **options, init_std=0.3)
    with torch.no_grad():
        for weight in draft.parameters():
            weight.add_(0.1 * weight.std(correction=0) * torch.randn(weight.shape))
    return model, draft


def random_pairs():
    """(p, q) in float64: alike, unlike, with zeros on either side, equal, one-hot."""
    generator = torch.Generator().manual_seed(0)

    def draw(V, scale):
        return (scale * torch.randn(V, generator=generator, dtype=torch.float64)).softmax(-1)

    for V, scale in itertools.product((2, 5, 50), (0.1, 1.0, 5.0)):
        p, q = draw(V, scale), draw(V, scale)
        yield p, q
        yield p, p.clone()
        p[0], q[1] = 0, 0
        yield p / p.sum(), q / q.sum()
    hot = torch.eye(4, dtype=torch.float64)
    yield hot[0], hot[0]
    yield hot[0], hot[1]


@pytest.fixture
def remembered(monkeypatch):
    """Thousands of runs with the same few texts: each distribution is computed once."""
    known = {}

    class Reader(module._Reader):
        def read(self, text, last=1):
            key = (id(self.model), tuple(text), last)
            if key not in known:
                self.cache.truncate(0)
                known[key] = super().read(text, last)
            return known[key]

    monkeypatch.setattr(module, "_Reader", Reader)


def outcome(p, q):
    """The distribution of one judged token, summed over all cases."""
    keep = module.accept_probability(p, q)
    return q * keep + (1 - (q * keep).sum()) * module.residual(p, q)


# -- the rule ---------------------------------------------------------------------------------


def test_kept_and_redrawn_together_are_the_target():
    for p, q in random_pairs():
        torch.testing.assert_close(outcome(p, q), p, atol=1e-12, rtol=0)


def test_the_chance_to_be_kept_is_one_minus_total_variation():
    for p, q in random_pairs():
        kept = float((q * module.accept_probability(p, q)).sum())
        assert kept == pytest.approx(1 - float((p - q).abs().sum()) / 2, abs=1e-12)


@pytest.mark.parametrize("wrong", WRONG_RULES)
def test_a_wrong_rule_gives_another_distribution(wrong, monkeypatch):
    monkeypatch.setattr(module, *WRONG_RULES[wrong])
    p, q = next(random_pairs())
    assert (outcome(p, q) - p).abs().max() > 1e-3


# -- the whole loop ---------------------------------------------------------------------------


def exact(model, options):
    """The target's distribution over texts of N_NEW tokens, one forward pass a text."""
    found = {}
    for text in itertools.product(range(CONFIG.vocab_size), repeat=N_NEW):
        with torch.no_grad():
            probs = adjust(model(torch.tensor([[*PROMPT, *text]]))[0], **options)
        at = range(len(PROMPT) - 1, len(PROMPT) + N_NEW - 1)
        found[text] = math.prod(probs[i, token].item() for i, token in zip(at, text, strict=True))
    return found


def enumerated(model, draft, options, monkeypatch, draft_tokens=2):
    """The distribution of `speculative`, from every course that its draws can take.

    Draws are answered from a script; where it ends, the first possible answer is taken and the
    others are noted, each with its chance. So all paths are walked, depth first.
    """
    found, waiting = {}, [()]

    def scripted(probs):
        nonlocal chance
        possible = [i for i, p in enumerate(probs) if p > 0]
        if len(path) < len(script):
            chosen = script[len(path)]
        else:
            chosen = possible[0]
            waiting.extend((*path, other) for other in possible[1:])
        path.append(chosen)
        chance *= probs[chosen]
        return chosen

    def judge(p, q, guesses, generator=None):
        for i, guess in enumerate(guesses):
            keep = float(module.accept_probability(p[i], q[i])[guess])
            if not scripted([1 - keep, keep]):
                return i, scripted(module.residual(p[i], q[i]).tolist())
        return len(guesses), scripted(p[-1].tolist())

    monkeypatch.setattr(module, "judge", judge)
    monkeypatch.setattr(module, "_draw", lambda probs, generator: scripted(probs.tolist()))
    while waiting:
        script, path, chance = waiting.pop(), [], 1.0
        new, _ = speculative(
            model, draft, PROMPT, max_new_tokens=N_NEW, draft_tokens=draft_tokens, **options
        )
        found[tuple(new)] = found.get(tuple(new), 0) + chance
    return found


@pytest.mark.parametrize("options", [{"temperature": 0.7}, {"temperature": 1.0, "top_k": 2}])
def test_every_course_of_the_loop_adds_up_to_the_target(pair, options, monkeypatch):
    found, wanted = enumerated(*pair, options, monkeypatch), exact(pair[0], options)
    assert sum(found.values()) == pytest.approx(1, abs=1e-5)
    for text, chance in wanted.items():
        assert found.get(text, 0) == pytest.approx(chance, abs=2e-6)


def chi_square(pair, n=2000):
    """Of n sampled texts against the target's exact distribution; 26 degrees of freedom."""
    counts = dict.fromkeys(itertools.product(range(3), repeat=N_NEW), 0)
    for seed in range(n):
        new, _ = speculative(*pair, PROMPT, max_new_tokens=N_NEW, draft_tokens=2, seed=seed)
        counts[tuple(new)] += 1
    wanted = exact(pair[0], {"temperature": 1.0})
    return sum((counts[t] - n * chance) ** 2 / (n * chance) for t, chance in wanted.items())


LEVEL = 54.05  # 26 degrees of freedom: a right rule goes beyond once in a thousand seeds


def test_sampled_texts_follow_the_target(pair, remembered):
    assert chi_square(pair) < LEVEL


@pytest.mark.parametrize("wrong", WRONG_RULES)
def test_the_same_test_sees_a_wrong_rule(pair, wrong, monkeypatch, remembered):
    monkeypatch.setattr(module, *WRONG_RULES[wrong])
    assert chi_square(pair, 1000) > LEVEL


def test_greedy_text_is_that_of_generate(larger):
    model, draft = larger
    for prompt in ([1], [1, 2, 3], list(range(30))):
        plain = generate(model, prompt, max_new_tokens=40, temperature=0)[0]
        for guesses in (1, 3, 10):
            new, stats = speculative(
                model, draft, prompt, max_new_tokens=40, temperature=0, draft_tokens=guesses
            )
            assert new == plain
            assert stats.new_tokens == len(plain) == min(40, 48 - len(prompt))
            assert stats.target_calls < len(plain), "some guess held"


def test_a_window_can_be_rolled_back():
    options = {"vocab_size": 40, "d_model": 32, "n_layers": 2, "max_seq_len": 48, "window": 5}
    model, draft = tiny(0, **options), tiny(1, **options)
    for guesses in (1, 4, 12):
        new, _ = speculative(
            model, draft, [1, 2, 3], max_new_tokens=40, temperature=0, draft_tokens=guesses
        )
        assert new == generate(model, [1, 2, 3], max_new_tokens=40, temperature=0)[0]


def test_a_draft_that_is_the_model_is_always_right(larger):
    model, _ = larger
    for temperature in (0, 1.0):
        new, stats = speculative(
            model, model, [1, 2], max_new_tokens=25, temperature=temperature, seed=0
        )
        assert stats.accepted == stats.proposed == 20 and stats.rejected == 0
        assert (stats.target_calls, stats.tokens_per_call, len(new)) == (5, 5.0, 25)


def test_measured_acceptance_is_one_minus_total_variation(larger, remembered):
    """The first guess after one prompt: its chance is known exactly."""
    model, draft = larger
    prompt = torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        p, q = (adjust(m(prompt)[:, -1], temperature=1.0)[0] for m in (model, draft))
    overlap = 1 - float((p - q).abs().sum()) / 2
    n, kept = 1500, 0
    for seed in range(n):
        _, stats = speculative(
            model, draft, prompt, max_new_tokens=2, draft_tokens=1, temperature=1.0, seed=seed
        )
        assert stats.proposed == 1
        kept += stats.accepted
    assert 0.2 < overlap < 0.95
    # four standard errors
    assert kept / n == pytest.approx(overlap, abs=4 * math.sqrt(overlap * (1 - overlap) / n))


def test_stops_seeds_and_filters(larger):
    model, draft = larger
    plain = generate(model, [1, 2, 3], max_new_tokens=30, temperature=0)[0]
    stop = plain[7]
    new, stats = speculative(
        model, draft, [1, 2, 3], max_new_tokens=30, temperature=0, draft_tokens=6, stop=[stop]
    )
    assert new == plain[: plain.index(stop) + 1] and stats.new_tokens == len(new)
    runs = [speculative(model, draft, [1], max_new_tokens=20, seed=s)[0] for s in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]
    state = torch.get_rng_state()
    speculative(model, draft, [1], max_new_tokens=5, seed=3)
    assert torch.equal(state, torch.get_rng_state())
    top_1, _ = speculative(model, draft, [1, 2, 3], max_new_tokens=30, top_k=1, seed=0)
    assert top_1 == plain


def test_where_the_drafts_context_ends_the_model_goes_on_alone(larger):
    model, _ = larger
    options = {"vocab_size": 40, "max_seq_len": 12}
    new, stats = speculative(
        model, tiny(5, **options), [1, 2, 3], max_new_tokens=40, temperature=0, draft_tokens=3
    )
    assert new == generate(model, [1, 2, 3], max_new_tokens=40, temperature=0)[0]
    assert stats.proposed < 30 < stats.target_calls == 40 - stats.accepted


def test_bad_input_is_named(larger):
    model, draft = larger
    with pytest.raises(ValueError, match="vocabulary has 40 tokens and the draft's 3"):
        speculative(model, tiny(0), [1], max_new_tokens=1)
    with pytest.raises(ValueError, match="at least one token"):
        speculative(model, draft, [], max_new_tokens=1)
    with pytest.raises(ValueError, match="one prompt"):
        speculative(model, draft, [[1], [2]], max_new_tokens=1)
    with pytest.raises(ValueError, match="no room"):
        speculative(model, draft, [1] * 48, max_new_tokens=1)
    for name in ("max_new_tokens", "draft_tokens"):
        with pytest.raises(ValueError, match=f"{name} must be a whole number of at least 1, not 0"):
            speculative(model, draft, [1], **{"max_new_tokens": 1, name: 0})
    with pytest.raises(ValueError, match="temperature"):
        speculative(model, draft, [1], max_new_tokens=1, temperature=-1)
