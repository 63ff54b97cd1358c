"""Pre-tokenization patterns and the special tokens of the course.

A pattern cuts text into *pieces*; merges never cross a piece's edge. The patterns use only what
Python's `regex`, Oniguruma (in `tokenizers`) and JavaScript's `u` flag all read in the same way: no
inline flags, no possessive quantifiers.
"""

# GPT-2 (Radford et al. 2019): contractions, then words, numbers and symbols, each with one leading
# space.
GPT2_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

# In the style of GPT-4's cl100k_base: contractions in either case, numbers in groups of at most
# three digits, a word takes any one symbol before it, and line ends are kept together.
GPT4_PATTERN = (
    r"'(?:[sdmtSDMT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# The course's world: GPT-2's words, but every digit is a piece of its own and never takes the space
# before it, so a number is spelled in one way wherever it stands.
WORLD_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

# The roles and marks of the chat template, in the order of their ids in the shipped tokenizer.
SPECIAL_TOKENS: tuple[str, ...] = (
    "<|pad|>",
    "<|endoftext|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|tool|>",
    "<|end|>",
    "<|think|>",
    "<|/think|>",
    "<|call|>",
    "<|/call|>",
    "<|result|>",
    "<|/result|>",
)
