"""Build the site and say so in one line; on any warning, print what Sphinx said and fail.

Run by ``make book`` and by the site's tests, so that both build the same way.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
# A change in one of these alters every page, and Sphinx would not notice.
WHOLE_BOOK = ("_config.yml", "_toc.yml", "book/extensions", "book/site")


def changed_since(path: Path, stamp: float) -> bool:
    files = [path] if path.is_file() else list(path.rglob("*"))
    return any(file.stat().st_mtime > stamp for file in files)


def build() -> tuple[int, str]:
    """Return Sphinx's exit status (0: no warning) and everything it printed."""
    written = SITE / "index.html"
    stamp = written.stat().st_mtime if written.exists() else 0.0
    command = [
        Path(sys.executable).parent / "jupyter-book",
        "build",
        ROOT,
        "-W",
        "-n",
        "--keep-going",
    ]
    if any(changed_since(ROOT / name, stamp) for name in WHOLE_BOOK):
        command.append("--all")
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return result.returncode, result.stdout + result.stderr


def main() -> int:
    start = time.monotonic()
    status, said = build()
    if status:
        lines = [line for line in said.splitlines() if "WARNING" in line or "ERROR" in line]
        print("\n".join(lines) or said, file=sys.stderr)
        # Sphinx warns about a page only when it reads it: make the next build read them all again.
        shutil.rmtree(ROOT / "_build" / ".doctrees", ignore_errors=True)
        print("The book was not built: see the lines above.", file=sys.stderr)
        return 1
    pages = len(list(SITE.rglob("*.html")))
    print(f"Built {pages} pages in {time.monotonic() - start:.0f} s without a warning.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
