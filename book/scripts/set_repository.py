"""Write the public address of the repository everywhere it is needed.

``make repository URL=https://github.com/you/your-book`` calls this. The address that
``_config.yml`` holds is replaced, as an owner and a name, in every committed text file: the
configuration, the README, the package's metadata, and the install cell and the Colab line of each
notebook. Standard library only.
"""

import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = re.compile(r"https://github\.com/([A-Za-z0-9-]+)/([A-Za-z0-9._-]+?)(?:\.git)?/?")
IN_CONFIG = re.compile(r"^  url: (\S+)$", re.MULTILINE)
NOT_OURS = {"_build", "build", "dist", "runs", "__pycache__", "llmlib.egg-info"}
TEXT = {".cfg", ".ipynb", ".json", ".md", ".py", ".toml", ".txt", ".yml", ".yaml"}


def parse(url: str) -> tuple[str, str]:
    """Owner and name of a GitHub address; a ValueError says what one looks like."""
    match = ADDRESS.fullmatch(url.strip())
    if not match:
        raise ValueError(
            f"not a GitHub address: {url!r}. Example: https://github.com/you/your-book"
        )
    return match[1], match[2]


def current(root: Path = ROOT) -> tuple[str, str]:
    """Owner and name that the repository's files hold now."""
    return parse(IN_CONFIG.search((root / "_config.yml").read_text(encoding="utf-8"))[1])


def text_files(root: Path = ROOT) -> list[Path]:
    """The project's own text files that may hold the address, wherever they lie."""
    found = []
    for folder, inner, names in os.walk(root):
        hidden = [name for name in inner if name.startswith(".") and name != ".github"]
        inner[:] = sorted(set(inner) - set(hidden) - NOT_OURS)
        found += [Path(folder) / name for name in sorted(names) if Path(name).suffix in TEXT]
    return found


def rewrite(root: Path, owner: str, name: str) -> list[Path]:
    """Put ``owner/name`` in the place of the current pair, and return the files that changed."""
    old_owner, old_name = current(root)
    # both forms: the repository's address and its GitHub Pages site
    old = re.compile(
        rf"(?<![\w.-]){re.escape(old_owner)}(/|\.github\.io/){re.escape(old_name)}(?![\w-])"
    )
    changed = []
    for file in text_files(root):
        before = file.read_text(encoding="utf-8")
        after = old.sub(rf"{owner}\g<1>{name}", before)
        if after != before:
            file.write_text(after, encoding="utf-8")
            changed.append(file)
    return changed


def main(arguments: list[str]) -> int:
    try:
        owner, name = parse(arguments[0] if arguments else "")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    changed = rewrite(ROOT, owner, name)
    for file in changed:
        print(file.relative_to(ROOT))
    print(f"{len(changed)} files now say https://github.com/{owner}/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
