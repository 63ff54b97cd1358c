"""Do the comparisons have teeth? Configurations wrong in one field must give other logits.

Each mutant has the weights of a reference and one field changed. It is caught if its logits differ
from those of `transformers` by more than the parity tests allow.
"""

import pytest
import torch

from llmlib.checkpoint.hf import from_hf
from llmlib.model import EncoderDecoder, ModelConfig, RopeScaling
from tests.model.references import REFERENCES, TOLERANCE, batch, difference, reference_logits

LENGTH = 40
SURVIVORS: dict[str, set[str]] = {}  # by reference: mutants that are not caught; none today


def mutants(config: ModelConfig) -> dict[str, dict]:
    """What is wrong -> the fields to change, for every field that the reference depends on."""
    other = "gelu" if config.activation == "gelu_tanh" else "gelu_tanh"
    found = {
        "another activation": {"activation": other},
        "a far activation": {"activation": "relu" if config.activation != "relu" else "silu"},
        "eps x 100": {"norm_eps": config.norm_eps * 100},
        "the other norm": {
            "norm": "rmsnorm" if config.norm == "layernorm" else "layernorm",
            "norm_bias": False,
        },
        "no final norm": {"final_norm": False},
        "another scale": {"attn_scale": 1.05 * (config.attn_scale or config.d_head**-0.5)},
        "scaled logits": {"logit_scale": config.logit_scale * 1.001},
    }
    for name in ("bias_qkv", "bias_o", "bias_mlp", "bias_head", "norm_bias", "embed_norm"):
        if getattr(config, name):
            found[f"no {name}"] = {name: False}
    for name in ("attn_softcap", "logit_softcap"):
        cap = getattr(config, name)
        found |= {f"no {name}": {name: None}, f"another {name}": {name: 1.05 * (cap or 10.0)}}
        if cap is None:
            del found[f"no {name}"]
    if config.embed_scale != 1:
        found["no embed_scale"] = {"embed_scale": 1.0}
    if config.qk_norm != "none":
        found["no qk_norm"] = {"qk_norm": "none"}
    if not config.tie_embeddings:
        found["tied"] = {"tie_embeddings": True}
    if config.n_experts:
        n = config.n_experts_per_token
        found |= {"one expert more": {"n_experts_per_token": n + 1}}
        found |= {"one expert less": {"n_experts_per_token": n - 1}}
        found["the other weights"] = {"renormalize_experts": not config.renormalize_experts}
    return found | _positions(config) | ({} if config.n_encoder_layers else _blocks(config))


def _positions(config: ModelConfig) -> dict[str, dict]:
    found = {"no positions": {"pos": "none", "rope_theta_local": None}}
    if config.pos == "alibi":
        found["the other scaling of ALiBi"] = {"alibi_scaled": not config.alibi_scaled}
    elif config.pos == "learned":
        found["sines instead"] = {"pos": "sinusoidal"}
        found["shifted"] = {"pos_offset": max(0, config.pos_offset - 1) or 1}
    elif config.pos == "relative":
        far = config.rel_max_distance
        found |= {"shorter": {"rel_max_distance": far - 8}, "longer": {"rel_max_distance": far * 2}}
    elif config.pos == "rope":
        found["theta x 1.1"] = {"rope_theta": config.rope_theta * 1.1}
        found["the other pairs"] = {"rope_interleaved": not config.rope_interleaved}
        if config.rope_dim > 2:
            found["fewer rotated"] = {"rope_dim": config.rope_dim - 2}
        if config.rope_dim < config.d_head:
            found["more rotated"] = {"rope_dim": config.rope_dim + 2}
        found |= _scaling(config)
    return found


def _scaling(config: ModelConfig) -> dict[str, dict]:
    found, scaling = {}, config.rope_scaling
    if config.rope_theta_local is not None:
        found["local theta x 1.1"] = {"rope_theta_local": config.rope_theta_local * 1.1}
        found["one theta"] = {"rope_theta_local": None}
    if scaling is None:
        return found | {"scaled": {"rope_scaling": RopeScaling("linear", 1.1)}}
    kind, factor, low, high, length = (getattr(scaling, f) for f in scaling.__dataclass_fields__)
    found["unscaled"] = {"rope_scaling": None}
    found["factor x 1.1"] = {"rope_scaling": RopeScaling(kind, factor * 1.1, low, high, length)}
    if kind == "llama3":
        found["low x 1.1"] = {"rope_scaling": RopeScaling(kind, factor, low * 1.1, high, length)}
        found["high x 1.1"] = {"rope_scaling": RopeScaling(kind, factor, low, high * 1.1, length)}
        found["original + 1"] = {"rope_scaling": RopeScaling(kind, factor, low, high, length + 1)}
        found["linear"] = {"rope_scaling": RopeScaling("linear", factor)}
    return found


def _blocks(config: ModelConfig) -> dict[str, dict]:
    found = {}
    window, layers = config.window, config.window_layers
    if window is None:
        found["a window"] = {"window": LENGTH - 1}
    else:
        found |= {"window + 1": {"window": window + 1}, "window - 1": {"window": window - 1}}
        if layers is None:
            found["no window"] = {"window": None}
        else:
            local = config.rope_theta_local is None
            found["other layers"] = {"window_layers": tuple(not w for w in layers)}
            found["all layers"] = {"window_layers": None} if local else {}
            found = {name: change for name, change in found.items() if change}
    if config.norm_place == "pre":
        found["the other layout"] = {"parallel": not config.parallel, "shared_norm": False}
        if config.parallel:
            found["the other norms"] = {"shared_norm": not config.shared_norm}
        else:
            found |= {"post-norm": {"norm_place": "post"}, "branch": {"norm_place": "branch"}}
    else:
        found["pre-norm"] = {"norm_place": "pre"}
    return found


def mutated(model: torch.nn.Module, change: dict) -> torch.nn.Module:
    """A model of the changed configuration, with all weights that still have a place."""
    mutant = type(model)(model.config.replace(**change))
    weights = model.state_dict()
    for name, tensor in mutant.state_dict().items():
        if name in weights:
            rows = min(len(tensor), len(weights[name]))  # of a table that grew or shrank
            tensor[:rows] = weights[name][:rows]
    return mutant


def survivors(model, change_of: dict[str, dict], run, expected) -> set[str]:
    return {
        name
        for name, change in change_of.items()
        if difference(run(mutated(model, change)), expected) <= TOLERANCE
    }


@pytest.fixture(scope="session")
def counts():
    """Mutants made and survived, over all the tests below."""
    return {"made": 0, "survived": 0}


@pytest.mark.parametrize("name", REFERENCES)
def test_a_wrong_field_is_seen(name, save_reference, counts):
    theirs, folder = save_reference(name)
    model, ids = from_hf(folder), batch(rows=2, length=LENGTH)
    expected, change_of = reference_logits(theirs, ids), mutants(model.config)
    assert difference(mutated(model, {})(ids), expected) <= TOLERANCE  # the control
    left = survivors(model, change_of, lambda mutant: mutant(ids), expected)
    assert left == SURVIVORS.get(name, set())
    counts["made"] += len(change_of)
    counts["survived"] += len(left)


def test_a_wrong_field_of_t5_is_seen(t5, counts):
    theirs, folder = t5
    model = from_hf(folder)
    assert isinstance(model, EncoderDecoder)
    source, target = batch(rows=2, length=170), batch(rows=2, length=150, seed=2)
    expected = theirs(input_ids=source, decoder_input_ids=target).logits
    change_of = mutants(model.config)
    assert difference(mutated(model, {})(source, target), expected) <= TOLERANCE
    left = survivors(model, change_of, lambda mutant: mutant(source, target), expected)
    assert left == SURVIVORS.get("t5", set())
    counts["made"] += len(change_of)
    counts["survived"] += len(left)


def test_at_least_97_of_100_are_caught(counts):
    """Runs last; by itself it has nothing to count."""
    if counts["made"] < 100:
        pytest.skip("only some families were compared")
    print(f"{counts['made']} mutants, {counts['survived']} survived")
    assert counts["survived"] <= 0.03 * counts["made"]
