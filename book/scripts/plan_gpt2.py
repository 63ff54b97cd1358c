"""The tables of book/gpu_track.md: memory and time of training GPT-2 124M, by arithmetic.

    python book/scripts/plan_gpt2.py

Nothing is trained. A test holds the page equal to what this prints.
"""

from llmlib.model import PRESETS, flops_per_token
from llmlib.train.memory import training_memory

CONFIG, SEQ_LEN, TOKENS = PRESETS["gpt2"], 1024, 10e9
ROWS = (8, 16, 32, 64)  # in a piece of a batch, on one GPU
PEAKS = {"A100": 312e12, "H100 or H200": 989e12}  # bfloat16, dense, by their data sheets
SHARES = (0.2, 0.35, 0.5)  # of the peak: model FLOPs utilisation


def memory() -> str:
    """GB by rows in a piece."""
    lines = ["| rows at once | " + " | ".join(map(str, ROWS)) + " |"]
    lines.append("|---|" + "---:|" * len(ROWS))
    found = [training_memory(CONFIG, rows * SEQ_LEN) for rows in ROWS]
    for part in found[0]:
        cells = " | ".join(f"{parts[part] / 1e9:.1f}" for parts in found)
        lines.append(f"| {part} | {cells} |")
    return "\n".join(lines)


def hours() -> str:
    """Hours of one GPU and of eight, by the share of the peak that is reached."""
    flops = flops_per_token(CONFIG, SEQ_LEN)["training"]
    lines = ["| GPU | share of the peak | tokens/s | hours on one | hours on eight |"]
    lines.append("|---|---:|---:|---:|---:|")
    for name, peak in PEAKS.items():
        for share in SHARES:
            speed = share * peak / flops
            one = TOKENS / speed / 3600
            lines.append(f"| {name} | {share:.0%} | {speed:,.0f} | {one:.1f} | {one / 8:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(f"{memory()}\n\n{hours()}")
