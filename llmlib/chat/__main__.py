"""Talk to a model in a terminal.

    python -m llmlib.chat
    python -m llmlib.chat --model S-instruct --temperature 0
    python -m llmlib.chat --model openai-community/gpt2
    echo "Where does Umber Tallowby live?" | python -m llmlib.chat --model runs/mine

Answers appear as they are written and go to the standard output; remarks go to the standard error.
Commands: /reset, /system TEXT, /help. Ctrl-C stops an answer; at the prompt it leaves.
"""

import argparse
import contextlib
import os
import sys

from llmlib import runtime

from .speaker import load_speaker
from .talk import Options, talk


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="llmlib.chat",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    names = "S, M, S-instruct, M-instruct, a folder, or a model's name on the hub (owner/name)"
    add("--model", default="M-instruct", help=names)
    add("--temperature", type=float, default=0.7, help="0: always the likeliest token")
    add("--top-p", type=float, help="only the likeliest tokens that add up to this share")
    add("--top-k", type=int, help="only the so many likeliest tokens")
    add("--min-p", type=float, help="only tokens so many times as likely as the likeliest")
    add("--repetition-penalty", type=float, default=1.0, help="above 1: fewer repetitions")
    add("--max-tokens", type=int, default=256, help="of an answer")
    add("--seed", type=int, help="makes the answers repeatable")
    add("--device", help="cpu, cuda, mps; default: the best there is")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the chat; the exit status."""
    args = arguments(argv)
    for file in (sys.stdin, sys.stdout):
        if hasattr(file, "reconfigure"):
            file.reconfigure(errors="replace")
    names = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
    try:
        sampling = {name: getattr(args, name) for name in names}
        options = Options(args.max_tokens, args.seed, sampling)
        speaker = load_speaker(args.model, runtime.pick_device(args.device))
        talk(speaker, options, _reader(), _write, _note)
    except KeyboardInterrupt:
        return 130  # while the model was loaded
    except BrokenPipeError:  # the reader of our output is gone, as in `… | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError, NotImplementedError) as error:
        sys.exit(f"error: {error}")
    return 0


def _reader():
    """What reads a line: with a prompt, history and editing where a person types."""
    person = sys.stdin.isatty() and sys.stdout.isatty()
    if person:
        with contextlib.suppress(ImportError):  # there is none on Windows
            import readline  # noqa: F401  (input() uses it)

    def read() -> str:
        try:
            return input("> " if person else "")
        except (EOFError, KeyboardInterrupt):
            if person:
                print(flush=True)
            raise

    return read


def _write(text: str) -> None:
    print(text, end="", flush=True)


def _note(text: str) -> None:
    print(f"({text})", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
