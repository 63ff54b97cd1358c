"""Training: configuration, optimizers, the loop, evaluation against the floor."""

from llmlib.train.config import TrainConfig, lr_at
from llmlib.train.evaluation import document_nats, evaluate
from llmlib.train.history import History, TrainingDiverged
from llmlib.train.loop import next_token_loss, pair_loss, train
from llmlib.train.optim import Muon, Optimizers, make_optimizer, orthogonalize, split_parameters

__all__ = [
    "History",
    "Muon",
    "Optimizers",
    "TrainConfig",
    "TrainingDiverged",
    "document_nats",
    "evaluate",
    "lr_at",
    "make_optimizer",
    "next_token_loss",
    "orthogonalize",
    "pair_loss",
    "split_parameters",
    "train",
]
