"""The loop: exact gradients, resumed bit for bit, stopped cleanly."""

import copy
import dataclasses
import os
import signal
import threading

import pytest
import torch

from llmlib import checkpoint, runtime
from llmlib.train import History, TrainConfig, TrainingDiverged, next_token_loss, train
from llmlib.train.history import StopRequest
from llmlib.train.loop import _gradients, _scale_gradients

CONFIG = TrainConfig(steps=12, batch_size=6, seq_len=48, warmup=2, precision="float32")


def weights_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("decay", ["cosine", "linear", "wsd"])
def test_training_learns_and_keeps_a_history(tiny, batches, optimizer, decay):
    config = dataclasses.replace(CONFIG, steps=60, optimizer=optimizer, decay=decay)
    history = train(tiny(), batches(), next_token_loss, config, evaluate=lambda m: {"score": 1.0})
    assert history.loss[0] == pytest.approx(5.7, abs=0.1)  # log 300
    assert sum(history.loss[-5:]) / 5 < history.loss[0] - 1.5
    assert history.step == list(range(1, 61)) and len(set(history.tokens)) == 60
    for column in (history.lr, history.grad_norm, history.seconds, history.tokens_per_second):
        assert len(column) == 60 and min(column) > 0
    assert [e["step"] for e in history.evals] == [60] and history.evals[0]["score"] == 1.0
    assert not history.interrupted


def test_evaluation_and_saving_come_when_due(tiny, batches):
    saved = []

    def save(state):
        saved.append(len(state["history"]["step"]))
        return "somewhere"

    config = dataclasses.replace(CONFIG, eval_every=5, save_every=4)
    history = train(
        tiny(), batches(), next_token_loss, config, evaluate=lambda m: {"x": 0.0}, save=save
    )
    assert [e["step"] for e in history.evals] == [5, 10, 12]
    assert saved == [4, 8, 12]


@pytest.mark.parametrize("pieces", [2, 3, 6])
def test_accumulated_gradients_equal_the_whole_batch_with_unequal_lengths(tiny, batches, pieces):
    """Rows with 1 to 48 targets: a mean of the pieces' means would be wrong."""
    batch = next(batches())
    length = torch.tensor([1, 48, 3, 20, 48, 7])
    batch = dataclasses.replace(batch, mask=batch.mask & (torch.arange(48) < length[:, None]))
    found = []
    for n in (1, pieces):
        model = tiny()
        config = dataclasses.replace(CONFIG, grad_accum=n)
        loss, count, _ = _gradients(model, batch, next_token_loss, config, StopRequest())
        norm = _scale_gradients(model, count, None)
        found.append((loss, count, norm, [p.grad.clone() for p in model.parameters()]))
    (loss, count, norm, whole), (loss_n, count_n, norm_n, cut) = found
    assert (count, loss, norm) == pytest.approx((count_n, loss_n, norm_n), rel=1e-6)
    for a, b in zip(whole, cut, strict=True):
        torch.testing.assert_close(a, b, atol=1e-7, rtol=1e-5)
    reference = tiny()
    logits = reference(batch.ids, doc_ids=batch.doc_ids)
    torch.nn.functional.cross_entropy(logits[batch.mask], batch.targets[batch.mask]).backward()
    for a, p in zip(whole, reference.parameters(), strict=True):
        torch.testing.assert_close(a, p.grad, atol=1e-7, rtol=1e-5)


def test_clipping_bounds_the_norm_and_keeps_the_direction(tiny, batches):
    batch, grads = next(batches()), []
    for clip in (None, 0.05, 1e3):
        model = tiny()
        _, count, _ = _gradients(model, batch, next_token_loss, CONFIG, StopRequest())
        norm = _scale_gradients(model, count, clip)
        grads.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    assert norm == pytest.approx(grads[0].norm().item(), rel=1e-5) and norm > 0.05
    torch.testing.assert_close(grads[1], grads[0] * 0.05 / norm, atol=1e-8, rtol=1e-4)
    assert torch.equal(grads[2], grads[0]), "what is short enough is left as it is"


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_resuming_is_bit_exact(tiny, batches, tok, tmp_path, optimizer):
    config = dataclasses.replace(CONFIG, optimizer=optimizer, save_every=1)
    model = tiny()

    def save(state):
        step = len(state["history"]["step"])
        return checkpoint.save(tmp_path / f"{step}.safetensors", model, tok, {}, state)

    whole = train(model, batches(), next_token_loss, config, save=save)
    for step in (1, 5, 11, 12):
        saved = checkpoint.read(tmp_path / f"{step}.safetensors")
        again = tiny()
        checkpoint.load_weights(again, saved.weights)
        torch.manual_seed(step)  # the saved generator must be put back, whatever this one is
        history = train(again, batches(), next_token_loss, config, state=saved.trainer_state)
        assert same(weights_of(model), weights_of(again))
        assert (history.loss, history.grad_norm) == (whole.loss, whole.grad_norm)
        assert history.tokens == whole.tokens


def test_a_resumed_run_draws_the_random_numbers_that_would_have_come(tiny, batches, tok, tmp_path):
    """Dropout and the like: without chance in the loss nobody would miss the generator's state."""

    def chancy(model, batch):
        total, count = next_token_loss(model, batch)
        return total * (0.5 + torch.rand(())), count

    config, model = dataclasses.replace(CONFIG, save_every=5), tiny()

    def save(state):
        path = tmp_path / f"{len(state['history']['step'])}.safetensors"
        return checkpoint.save(path, model, tok, {}, state)

    whole = train(model, batches(), chancy, config, save=save)
    saved, again = checkpoint.read(tmp_path / "5.safetensors"), tiny()
    checkpoint.load_weights(again, saved.weights)
    history = train(again, batches(), chancy, config, state=saved.trainer_state)
    assert history.loss == whole.loss and same(weights_of(again), weights_of(model))


def test_a_resumed_run_keeps_the_precision_that_was_measured_once(tiny, batches, monkeypatch):
    """ "auto" is decided by timing, which may come out otherwise on a busier day."""
    config, states = dataclasses.replace(CONFIG, precision="auto", save_every=5), []
    monkeypatch.setattr(runtime, "pick_precision", lambda device: "bfloat16")
    model, weights = tiny(), []

    def save(state):
        states.append(copy.deepcopy(state))  # its tensors go on being trained
        weights.append(weights_of(model))
        return "x"

    whole = train(model, batches(), next_token_loss, config, save=save)
    monkeypatch.setattr(runtime, "pick_precision", lambda device: "float32")
    again = tiny()
    again.load_state_dict(weights[0])
    history = train(again, batches(), next_token_loss, config, state=states[0])
    assert history.loss == whole.loss and same(weights_of(again), weights_of(model))
    other = dataclasses.replace(config, precision="float32")
    with pytest.raises(ValueError, match="precision: bfloat16 → float32"):
        train(tiny(), batches(), next_token_loss, other, state=states[0])


def test_resuming_with_another_configuration_is_refused(tiny, batches):
    states = []
    train(tiny(), batches(), next_token_loss, CONFIG, save=lambda s: states.append(s) or "x")
    other = dataclasses.replace(CONFIG, lr=1.0)
    with pytest.raises(ValueError, match=r"lr: 0.003 → 1.0"):
        train(tiny(), batches(), next_token_loss, other, state=states[-1])


# -- stopping ---------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_after_the_step_and_saves(tiny, batches, number):
    """The loss function interrupts the fifth step in its middle; the step is finished."""
    calls, states = [], []

    def loss_fn(model, batch):
        calls.append(1)
        if len(calls) == 5:
            os.kill(os.getpid(), number)
        return next_token_loss(model, batch)

    before = signal.getsignal(number)
    model = tiny()
    history = train(model, batches(), loss_fn, CONFIG, save=lambda s: states.append(s) or "x")
    assert history.interrupted and history.step[-1] == 5
    assert len(states[-1]["history"]["step"]) == 5
    assert signal.getsignal(number) is before
    history = train(model, batches(), next_token_loss, CONFIG, state=states[-1])
    assert not history.interrupted and history.step[-1] == 12
    straight = tiny()
    train(straight, batches(), next_token_loss, CONFIG)
    assert same(weights_of(model), weights_of(straight))


def test_a_second_interrupt_stops_at_once(tiny, batches):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background

    def loss_fn(model, batch):
        os.kill(os.getpid(), signal.SIGINT)
        return next_token_loss(model, batch)

    def stubborn(model, batch):
        loss_fn(model, batch)
        return loss_fn(model, batch)

    try:
        with pytest.raises(KeyboardInterrupt):
            train(tiny(), batches(), stubborn, CONFIG)
    finally:
        signal.signal(signal.SIGINT, before)


def test_training_works_outside_the_main_thread(tiny, batches):
    found = []
    run = threading.Thread(
        target=lambda: found.append(train(tiny(), batches(), next_token_loss, CONFIG))
    )
    run.start()
    run.join()
    assert found[0].step[-1] == 12


@pytest.mark.parametrize("bad", ["loss", "gradient"])
def test_a_loss_that_is_not_finite_stops_before_the_weights_are_touched(tiny, batches, bad):
    calls, saved = [], []

    def loss_fn(model, batch):
        calls.append(1)
        total, count = next_token_loss(model, batch)
        if len(calls) == 7:
            wrong = total * float("nan") if bad == "loss" else (total * 0).sqrt()
            return total + wrong, count
        return total, count

    model = tiny()
    config = dataclasses.replace(CONFIG, save_every=3)
    with pytest.raises(TrainingDiverged) as error:
        train(model, batches(), loss_fn, config, save=lambda s: saved.append(s) or "run/last")
    assert error.value.step == 7 and "step 7" in str(error.value)
    assert "run/last" in str(error.value) and "learning rate" in str(error.value)
    assert len(saved[-1]["history"]["step"]) == 6
    calls[:] = [0] * 6  # the seventh loss once more, after taking the run up again
    with pytest.raises(TrainingDiverged, match="is the one that this run went on from"):
        train(tiny(), batches(), loss_fn, config, state=saved[-1])
    straight = tiny()
    loss_six = dataclasses.replace(CONFIG)
    calls[:] = [0] * 100  # no more trouble
    first_six = iter([next(source) for source in [batches()] for _ in range(6)])
    with pytest.raises(ValueError, match="ended after 6 of 12"):
        train(straight, first_six, loss_fn, loss_six)
    assert same(weights_of(model), weights_of(straight))


def test_batches_that_end_too_soon_or_hold_nothing_are_named(tiny, batches):
    with pytest.raises(ValueError, match="ended after 0 of 12 steps"):
        train(tiny(), [], next_token_loss, CONFIG)
    batch = next(batches())
    with pytest.raises(ValueError, match="after 1 of 12 steps"):
        train(tiny(), [batch, batch.rows(0, 0)], next_token_loss, CONFIG)
    blind = dataclasses.replace(batch, mask=torch.zeros_like(batch.mask))
    with pytest.raises(ValueError, match="no target"):
        train(tiny(), [blind], next_token_loss, CONFIG)


def test_a_row_longer_than_the_context_is_refused(tiny, batches):
    with pytest.raises(ValueError, match="max_seq_len"):
        train(tiny(max_seq_len=40), batches(), next_token_loss, CONFIG)


def test_batches_that_cannot_be_resumed_are_not_saved(tiny, batches):
    twelve = [next(source) for source in [batches()] for _ in range(12)]
    with pytest.raises(TypeError, match="save=None"):
        train(tiny(), twelve, next_token_loss, CONFIG, save=lambda s: "x")


def test_bfloat16_stays_close_to_float32(tiny, batches):
    losses = []
    for precision in ("float32", "bfloat16"):
        config = dataclasses.replace(CONFIG, precision=precision)
        model = tiny()
        losses.append(train(model, batches(), next_token_loss, config).loss)
        assert all(p.dtype == torch.float32 for p in model.parameters())
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], abs=0.03)


def test_history_survives_a_round_trip():
    history = History()
    history.record(10, 1.5, 0.1, 2.0, 0.5)
    history.record_eval({"score": 1.0})
    assert History.from_dict(history.to_dict()) == history
    assert history.evals == [{"step": 1, "tokens": 10, "seconds": 0.5, "score": 1.0}]
