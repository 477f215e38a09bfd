"""Writes the results as Markdown."""

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = (
    "nl2sql-align duckdb numpy polars prefect pyarrow scikit-learn scipy sqlglot sqlglotc"
).split()


@dataclass(frozen=True)
class Bar:
    """What was asked for, and what was measured."""

    what: str
    wanted: str
    measured: str
    is_met: bool


@dataclass
class Report:
    """Tables and bars, in the order in which they came."""

    bars: list[Bar] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)

    def bar(self, what: str, wanted: str, measured: str, is_met: bool) -> None:
        """Notes a bar, and says it at once."""
        self.bars.append(Bar(what, wanted, measured, is_met))
        say(f"{'met' if is_met else 'MISSED'}: {what}: {measured} ({wanted})")

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Notes a table with its heading."""
        lines = [f"## {title}", "", _row(header), _row(["---", *["---:"] * (len(header) - 1)])]
        self.parts.append("\n".join([*lines, *map(_row, rows)]))

    def note(self, text: str) -> None:
        """Notes a paragraph."""
        self.parts.append(text)

    def write(self, path: Path, command: str) -> None:
        """Writes the page: what was asked for and reached, then the tables, then how to redo it.

        Args:
            path: The page.
            command: What it was made by.
        """
        n_met = sum(bar.is_met for bar in self.bars)
        bars = [
            [bar.what, bar.wanted, bar.measured, "met" if bar.is_met else "**missed**"]
            for bar in self.bars
        ]
        header = _row(("what", "bar", "measured", ""))
        page = [
            "# Results of the benchmarks",
            f"{n_met} of {len(self.bars)} bars met, on {_processors()}. Written by `{command}`; "
            "do not edit.",
            "\n".join([header, _row(["---"] * 4), *map(_row, bars)]),
            "Times are wall-clock seconds unless they say CPU, and medians of the repetitions, "
            "which take turns; each contestant is a process of its own, its start included. "
            "Memory is the largest sum over all processes at one time, what they share counted "
            "once (PSS); where runs are repeated, that of one more, since to look at memory takes "
            "some of the machine.",
            *self.parts,
            f"## Machine and versions\n\n{machine()}",
            f"## To reproduce\n\n```sh\nmake bench          # all of it, an hour\n"
            "make bench BENCH=--quick   # small sizes, two minutes\n"
            f"{command}\n```\n\nThe real corpora are used where they are (`--dumps CORPORA.toml`), "
            "else the samples and generated corpora of the same sizes. `--only` and `--sizes` take "
            "parts of it.",
        ]
        path.write_text("\n\n".join(page) + "\n", encoding="utf-8")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def say(text: str) -> None:
    """A line on how it goes on."""
    print(text, file=sys.stderr, flush=True)


def _processors() -> str:
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{len(os.sched_getaffinity(0))} CPUs, {model}"


def machine() -> str:
    """Facts about the machine, and versions."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    lines = [
        f"* {_processors()}; {memory:.0f} GB of memory; "
        f"{platform.system()} {platform.release().partition('-')[0]}",
        f"* Python {platform.python_version()}",
    ]
    for package in _PACKAGES:
        try:
            lines.append(f"* {package} {version(package)}")
        except PackageNotFoundError:
            continue
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return "\n".join([*lines, f"* load average at the end, the last contestant's: {load}"])
