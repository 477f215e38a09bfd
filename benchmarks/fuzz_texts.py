"""Fuzzing of the rules over texts: ``python -m benchmarks.fuzz_texts --cases 10000``.

Each case repeats a few fragments that are slow to read for a careless rule
(``tests.hostile_texts``). The text is cleaned as an answer, or split into statements, or parsed. A
case fails if it raises an error, or if four times the text takes more than nine times as long. Each
runs in a process of its own, which may crash.
"""

import argparse
import math
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable

from benchmarks.report import say
from nl2sql_align.tasks.ingest.answers import explain_cleaning
from nl2sql_align.tasks.ingest.statements import choose_statements
from nl2sql_align.tasks.templates.templatizer import Templatizer
from tests.hostile_texts import HostileText, some_text

_DIALECTS = ("sqlite", "tsql", "mysql", "postgres", "bigquery", "clickhouse", "snowflake", "duckdb")
_LENGTHS = (6_000, 24_000)
_LARGEST_RATIO = 9
# Shorter times are noise.
_LEAST_SECONDS = 0.02
_MOST_SECONDS = 20.0
_CRASHED = -1.0


def list_rules(dialect: str) -> dict[str, Callable[[str], object]]:
    """Return the rules to apply to a text, by name."""
    return {
        "last answer": lambda text: explain_cleaning(text, dialect),
        "first answer": lambda text: explain_cleaning(text, None, takes_first=False, block="first"),
        "statements": lambda text: choose_statements(text, "last", ("query",), dialect),
        "template": Templatizer(dialect, shares_parses=True),
    }


def measure(rule: Callable[[str], object], text: str) -> float:
    """Return the processor time of a rule, in seconds; ``_CRASHED`` if it fails."""
    receiving, sending = os.pipe()
    process = os.fork()
    if not process:
        signal.setitimer(signal.ITIMER_VIRTUAL, _MOST_SECONDS)
        started = time.process_time()
        try:
            rule(text)
            os.write(sending, str(time.process_time() - started).encode())
        finally:
            os._exit(0)
    os.close(sending)
    with os.fdopen(receiving) as file:
        answer = file.read()
    status = os.waitpid(process, 0)[1]
    if answer:
        return float(answer)
    return (
        math.inf if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGVTALRM else _CRASHED
    )


def judge(rule: Callable[[str], object], hostile: HostileText) -> str:
    """Return ``linear``, ``crashed``, or how much longer four times the text takes."""
    short_text, long_text = (hostile.of_length(length) for length in _LENGTHS)
    short = long = math.inf
    for _ in range(3):
        seconds = measure(rule, long_text)
        if seconds == _CRASHED:
            return "crashed"
        long = min(long, seconds)
        if long < _LARGEST_RATIO * _LEAST_SECONDS:
            return "linear"
        short = min(short, measure(rule, short_text))
        if long < _LARGEST_RATIO * max(short, _LEAST_SECONDS):
            return "linear"
    return f"{short:.2f} s, then {long:.2f} s"


def campaign(n_cases: int, seed: int, minutes: float) -> bool:
    """Run the cases within the time limit, print a summary, and return whether all succeeded."""
    rules = {dialect: list_rules(dialect) for dialect in _DIALECTS}
    counts: Counter[tuple[str, str]] = Counter()
    end = time.monotonic() + 60 * minutes
    for case in range(n_cases):
        if time.monotonic() > end:
            break
        rng = random.Random(f"{seed} {case}")
        hostile, dialect = some_text(rng), rng.choice(_DIALECTS)
        name = rng.choice(list(rules[dialect]))
        found = judge(rules[dialect][name], hostile)
        counts[name, found if found in ("linear", "crashed") else "slow"] += 1
        if found != "linear":
            say(f"case {case}, {name}, {dialect}: {found}: {hostile}")
    print("| rules | linear | slow | crashed |\n| --- | --- | --- | --- |")
    for name in rules[_DIALECTS[0]]:
        cells = [f"{counts[name, outcome]:,}" for outcome in ("linear", "slow", "crashed")]
        print(f"| {name} | {' | '.join(cells)} |")
    return all(outcome == "linear" for _, outcome in counts)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cases", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--minutes", type=float, default=600.0, help="a time limit")
    given = options.parse_args()
    sys.exit(0 if campaign(given.cases, given.seed, given.minutes) else 1)


if __name__ == "__main__":
    main()
