"""The results of the benchmarks, as a Markdown page."""

import os
import platform
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = (
    "nl2sql-align duckdb numpy polars prefect pyarrow scikit-learn scipy sqlglot sqlglotc"
).split()


@dataclass(frozen=True)
class Bar:
    """A target, and the measurement."""

    what: str
    wanted: str
    measured: str
    is_met: bool


@dataclass
class Report:
    """Tables and bars, in the order in which they were added."""

    bars: list[Bar] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)

    def bar(self, what: str, wanted: str, measured: str, is_met: bool) -> None:
        """Add a bar, and print it."""
        self.bars.append(Bar(what, wanted, measured, is_met))
        say(f"{'met' if is_met else 'MISSED'}: {what}: {measured} ({wanted})")

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Add a table with its heading."""
        self.parts.append(f"## {title}\n\n{format_table(header, rows)}")

    def note(self, text: str) -> None:
        """Add a paragraph."""
        self.parts.append(text)

    def write(self, path: Path, command: str) -> None:
        """Write the page: the bars, the tables, and how to reproduce them.

        Args:
            path: The page.
            command: The command that made it.
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
            "Times are wall-clock seconds unless marked as CPU, and medians of repetitions, in "
            "which contestants take turns. Each contestant runs in its own process, and its start "
            "is included. Memory is the largest sum over all processes at one time, with shared "
            "memory counted once (PSS). Memory of repeated runs is measured in one more run, "
            "since measuring it slows the contestant down.",
            *self.parts,
            f"## Machine and versions\n\n{machine()}",
            f"## To reproduce\n\n```sh\nmake bench          # all of it, an hour\n"
            "make bench BENCH=--quick   # small sizes, two minutes\n"
            f"{command}\n```\n\nBenchmarks use the real corpora if they exist (`--dumps "
            "CORPORA.toml`), else the samples and generated corpora of the same sizes. `--only` "
            "and `--sizes` select parts.",
        ]
        path.write_text("\n\n".join(page) + "\n", encoding="utf-8")


def format_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table whose cells after the first are right-aligned."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(map(_row, lines))


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def say(text: str) -> None:
    """Print a line on the progress."""
    print(text, file=sys.stderr, flush=True)


def _processors() -> str:
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{len(os.sched_getaffinity(0))} CPUs, {model}"


def machine() -> str:
    """Describe the machine and the versions of packages."""
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
