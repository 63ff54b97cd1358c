"""Everything that is checked, in one command with one summary: ``make test``, and ``make quick``.

Each step is an ordinary command that can be run alone; it is printed before it runs. The exit
status is 0 only when no step failed. Names of steps as arguments run only those. With
REQUIRE_BROWSER=1 a missing browser is a failure.
"""

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
REPORTS = ROOT / "_build" / "reports"
TWO_WORKERS = ("-n", "2", "--dist", "loadfile")
NBVAL = ("--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=300")
BY_THEMSELVES = ("site", "exercises")  # parts of tests/ that are steps of their own


@dataclass
class Step:
    name: str
    command: tuple[str, ...]
    is_pytest: bool = True
    counts: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    status: int = 0

    @property
    def report(self) -> Path:
        return REPORTS / f"{self.name.replace(' ', '_')}.xml"


def steps(quick: bool) -> list[Step]:
    style = [
        Step("format", ("ruff", "format", "--check", "."), is_pytest=False),
        Step("lint", ("ruff", "check", "."), is_pytest=False),
    ]
    ignored = tuple(f"--ignore=tests/{part}" for part in BY_THEMSELVES)
    if quick:
        fast = ("pytest", "-q", "-m", "not slow", *TWO_WORKERS, *ignored, "tests")
        return [*style, Step("library", fast)]
    return [
        *style,
        Step("library", ("pytest", "-q", *TWO_WORKERS, *ignored, "tests")),
        Step("exercises", ("pytest", "-q", *TWO_WORKERS, "tests/exercises")),
        Step("notebooks", ("pytest", "-q", *NBVAL, *TWO_WORKERS, "notebooks")),
        Step("site", ("pytest", "-q", "-rs", "tests/site")),
    ]


def run(step: Step) -> None:
    """Run one step, letting its output through, and note its result."""
    print(f"\n=== {step.name}: {' '.join(step.command)}", flush=True)
    command = [str(BIN / step.command[0]), *step.command[1:]]
    if step.is_pytest:
        step.report.unlink(missing_ok=True)
        command.append(f"--junitxml={step.report}")
    # Two workers share two cores: more threads in each would only make them wait for one another.
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    start = time.monotonic()
    step.status = subprocess.run(command, cwd=ROOT, env=environment).returncode
    step.seconds = time.monotonic() - start
    if step.is_pytest and step.report.exists():
        suite = ElementTree.parse(step.report).getroot().find("testsuite")
        step.counts = {k: int(suite.get(k)) for k in ("tests", "failures", "errors", "skipped")}


def verdict(step: Step) -> str:
    if not step.is_pytest:
        return "ok" if step.status == 0 else "FAILED"
    counts = step.counts or {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    bad = counts["failures"] + counts["errors"]
    text = f"{counts['tests'] - bad - counts['skipped']} passed"
    text += f", {bad} failed" if bad else ""
    text += f", {counts['skipped']} skipped" if counts["skipped"] else ""
    return text if step.status == 0 else f"FAILED: {text}"


def main(arguments: list[str]) -> int:
    REPORTS.mkdir(parents=True, exist_ok=True)
    done = steps(quick="--quick" in arguments)
    wanted = set(arguments) - {"--quick"}
    if unknown := wanted - {step.name for step in done}:
        print(f"no such step: {', '.join(unknown)}; there are {', '.join(s.name for s in done)}")
        return 2
    done = [step for step in done if not wanted or step.name in wanted]
    for step in done:
        run(step)
    print("\n=== summary")
    for step in done:
        print(f"{step.name:<12} {step.seconds:6.0f} s   {verdict(step)}")
    total = sum(step.seconds for step in done)
    failed = [step.name for step in done if step.status]
    print(f"{'all':<12} {total:6.0f} s   {'FAILED: ' + ', '.join(failed) if failed else 'ok'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
