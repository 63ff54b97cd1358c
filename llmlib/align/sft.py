"""Supervised fine-tuning: the next-token loss, on what the assistant says."""

import torch
from torch import Tensor

from llmlib.logprobs import masked_mean


def sft_loss(
    logprobs: Tensor, mask: Tensor, doc_ids: Tensor | None = None, *, per: str = "token"
) -> Tensor:
    """The mean of −log p over the assistant's tokens, in nats a token: a scalar.

    logprobs  (B, T) log-probability of each target; mask (B, T) bool, True where it counts.
    per       "token": every token of the batch weighs the same, so a long answer weighs more than
              a short one. This is what `F.cross_entropy(ignore_index=-100)`, TRL and
              `llmlib.train` minimise.
              "sequence": every sequence weighs the same, its tokens sharing that weight.
    doc_ids   (B, T), for "sequence" only: a number for each document of a packed row. Without them
              a row is a sequence.

    The two differ wherever answers differ in length; sequences without a counted token have no
    part in either. 0 if nothing counts.
    """
    if logprobs.shape != mask.shape:
        raise ValueError(f"mask {tuple(mask.shape)} must be shaped like {tuple(logprobs.shape)}")
    if per == "token":
        return -masked_mean(logprobs, mask)
    if per != "sequence":
        raise ValueError(f'per must be "token" or "sequence", not {per!r}')
    rows = torch.arange(len(mask), device=mask.device)[:, None].expand_as(mask)  # (B, T)
    keys = rows if doc_ids is None else rows * (int(doc_ids.max()) + 2) + doc_ids + 1
    _, sequence = keys[mask].unique(return_inverse=True)  # (counted tokens,)
    counts = torch.bincount(sequence)
    if not len(counts):
        return masked_mean(logprobs, mask)  # 0, with a graph
    sums = logprobs.new_zeros(len(counts)).index_add(0, sequence, logprobs[mask])
    return -(sums / counts).mean()
