"""The byte alphabet: how 256 bytes become 256 printable characters, and back.

A byte-level vocabulary holds byte strings, but the files that store one (GPT-2's ``vocab.json``,
Hugging Face's ``tokenizer.json``) hold text. GPT-2 therefore gave every byte a printable stand-in:
the 188 bytes that are visible in Latin-1 stand for themselves, and the other 68 take the characters
from U+0100 on, in order. That is why a space is shown as ``Ġ`` (U+0120): it is the 33rd byte
without a visible form.
"""

VISIBLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
HIDDEN = [byte for byte in range(256) if byte not in set(VISIBLE)]

BYTE_TO_CHAR: dict[int, str] = {byte: chr(byte) for byte in VISIBLE} | {
    byte: chr(0x100 + order) for order, byte in enumerate(HIDDEN)
}
CHAR_TO_BYTE: dict[str, int] = {char: byte for byte, char in BYTE_TO_CHAR.items()}

# Ids are given to bytes in the order of their stand-ins, as `tokenizers` does: "!" is 0, "\x00" is
# 188.
BYTE_ORDER: tuple[int, ...] = tuple(sorted(range(256), key=BYTE_TO_CHAR.__getitem__))


def to_stand_in(data: bytes) -> str:
    """Return the printable form of a byte string: ``to_stand_in(b" a") == "Ġa"``."""
    return "".join(map(BYTE_TO_CHAR.__getitem__, data))


def from_stand_in(text: str) -> bytes:
    """Return the bytes that a printable form stands for.

    Raises ValueError where a character stands for no byte.
    """
    try:
        return bytes(map(CHAR_TO_BYTE.__getitem__, text))
    except KeyError as error:
        raise ValueError(
            f"{text!r} is not a byte-level token: {error.args[0]!r} stands for no byte"
        ) from None
