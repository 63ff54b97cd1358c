"""Progress across chapters: one small JSON file per user, and the table printed from it."""

import contextlib
import json
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

_warned = False


def path():
    """Where progress is kept: `$TTA_PROGRESS` if set, else the user's data folder of this operating
    system.
    """
    if os.environ.get("TTA_PROGRESS"):
        return Path(os.environ["TTA_PROGRESS"])
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "token-to-agent" / "progress.json"


def read():
    """{"04.2": {"status": "passed" | "wrong", "tries": int, "since": ISO date}}; {} when missing or
    damaged.
    """
    try:
        stored = json.loads(path().read_text(encoding="utf-8"))["exercises"]
        return {id: entry for id, entry in stored.items() if entry["status"] in ("passed", "wrong")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def write(verdict):
    """Record a verdict. Stubs leave no trace; an exercise once passed stays passed.

    A damaged file is set aside under the name *.damaged. Where nothing can be written (a read-only
    home) a note is printed once, because a full disk must not stand between a reader and a verdict.
    """
    if verdict.status == "not attempted":
        return
    global _warned
    try:
        _set_aside_if_damaged()
        exercises = read()
        entry = exercises.setdefault(verdict.id, {"status": "wrong", "tries": 0})
        if entry["status"] != "passed":
            tries = entry.get("tries", 0)
            entry |= {"status": verdict.status, "tries": tries + 1, "since": _today()}
        _replace(path(), json.dumps({"version": 1, "exercises": exercises}, indent=1))
    except OSError as error:
        if not _warned:
            print(
                f"(Progress could not be saved: {error}. Set TTA_PROGRESS to a file you can write.)"
            )
            _warned = True


def table(titles, chapters):
    """The progress table as text. titles: {"04.2": title}; chapters: {"04": name}."""
    done = read()
    lines = []
    for chapter, name in sorted(chapters.items()):
        ids = sorted((i for i in titles if i.startswith(chapter + ".")), key=_order)
        marks = "".join({"passed": "✓", "wrong": "✗"}.get(_status(done, i), "·") for i in ids)
        count = sum(_status(done, i) == "passed" for i in ids)
        lines.append(f"{chapter}  {name:<24} {count:>2} of {len(ids):<2}  {marks}")
    total = sum(_status(done, i) == "passed" for i in titles)
    lines.append(
        f"    {'all chapters':<24} {total:>2} of {len(titles):<2}  ✓ passed  ✗ tried  · not yet"
    )
    return "\n".join(lines)


def details(titles, chapter):
    """One chapter's exercises, a line each, as text."""
    done = read()
    lines = []
    for id in sorted((i for i in titles if i.startswith(chapter + ".")), key=_order):
        entry = done.get(id)
        mark = {"passed": "✓", "wrong": "✗"}.get(_status(done, id), "·")
        tries = entry.get("tries", 1) if entry else 0
        note = f"  ({tries} {'try' if tries == 1 else 'tries'})" if entry else ""
        lines.append(f"{mark} {int(chapter)}.{id.split('.')[1]}  {titles[id]}{note}")
    return "\n".join(lines)


def _status(done, id):
    return done.get(id, {}).get("status")


def _order(id):
    return [int(part) for part in id.split(".")]


def _today():
    return datetime.now(UTC).date().isoformat()


def _set_aside_if_damaged():
    file = path()
    if not file.exists():
        return
    try:
        sound = isinstance(json.loads(file.read_text(encoding="utf-8"))["exercises"], dict)
    except (ValueError, KeyError, TypeError):
        sound = False
    if not sound:
        os.replace(file, file.with_name(file.name + ".damaged"))


def _replace(file, text):
    """Write to a neighbour and rename: a reader sees the old file or the new one, never half of
    one.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=file.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(name, file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
