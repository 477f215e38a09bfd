"""A first answer about a few files or frames, without a corpora file and without a warehouse."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.measures.records import list_records
from nl2sql_align.tasks.views.digits import format_interval, format_value
from nl2sql_align.tasks.views.labels import list_doubts

# ``compare`` starts a parser before it imports the modules that read and measure.
if TYPE_CHECKING:
    import polars as pl

    from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
    from nl2sql_align.tasks.warehouse.folder import Warehouse

_SHARES: Final = {
    "n-grams covered": "ngram_coverage",
    "templates covered": "template_coverage",
    "same queries": "exact_overlap",
    "parsed": "source_parsed_share",
}
"""The columns with shares, by the heads above them."""


@dataclass(frozen=True)
class Comparison:
    """How close training sets are to a target, and whether tuning on them should help.

    As the last expression of a notebook cell, it is displayed as tables.

    Attributes:
        target: The name of the target.
        corpora: One row per corpus, with the columns of table ``corpora``.
        alignment: One row per training set, the closest first, with the columns of
            ``tasks.results.read.matrix``.
        ratios: One row per set of answers and training set, with the columns of
            ``tasks.results.read.ratio``; empty without answers.
        sentences: For each training set, the closest first, how its queries and those of the
            target differ.
        notes: The format and dialect that were chosen for each corpus, and further notes on it.
        set_aside: The corpora that could not be used, each with the reason.
    """

    target: str
    corpora: "pl.DataFrame"
    alignment: "pl.DataFrame"
    ratios: "pl.DataFrame"
    sentences: dict[str, list[str]]
    notes: list[str]
    set_aside: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as a dictionary, with a dictionary for each row of its frames."""
        frames = {
            name: getattr(self, name).to_dicts() for name in ("corpora", "alignment", "ratios")
        }
        return {**vars(self), **frames}

    def as_markdown(self) -> str:
        """Return the comparison as Markdown."""
        lines = [f"## {_escape_markdown(self._title)}"]
        for section in self._sections():
            lines += ["", f"### {_escape_markdown(section.title)}", ""]
            if section.rows:
                heads = [*section.rows[0]]
                lines += [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
                lines += [
                    f"| {' | '.join(map(_escape_markdown, row.values()))} |" for row in section.rows
                ]
            lines += [f"* {_escape_markdown(text)}" for text in section.sentences]
        return "\n".join(lines) + "\n"

    def as_html(self) -> str:
        """Return the comparison as an HTML page without scripts."""
        return (
            '<!doctype html><html lang="en"><meta charset="utf-8">'
            f"<title>{escape(self._title)}</title>"
            "<style>body{font:16px/1.5 system-ui;max-width:60em;margin:2em auto;padding:0 1em}"
            "td,th{padding:.2em .8em;text-align:left}</style>"
            f"<body>{self._repr_html_()}</body></html>\n"
        )

    def _repr_html_(self) -> str:
        parts = [f"<h2>{escape(self._title)}</h2>"]
        for section in self._sections():
            parts.append(f"<h3>{escape(section.title)}</h3>")
            if section.rows:
                head = "".join(f"<th>{escape(name)}</th>" for name in section.rows[0])
                rows = "".join(
                    f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row.values())}</tr>"
                    for row in section.rows
                )
                parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")
            if section.sentences:
                items = "".join(f"<li>{escape(text)}</li>" for text in section.sentences)
                parts.append(f"<ul>{items}</ul>")
        return "".join(parts)

    @property
    def _title(self) -> str:
        return f"{', '.join(self.alignment['source'])} for {self.target}"

    def _sections(self) -> "Iterator[_Section]":
        yield _Section(
            f"Alignment with {self.target}",
            [format_alignment(row) for row in self.alignment.iter_rows(named=True)],
            list_doubts(self.alignment["doubts"]),
        )
        if len(self.ratios):
            yield _Section(
                "Alignment Ratio: above 1, tuning should help",
                [_format_ratio(row) for row in self.ratios.iter_rows(named=True)],
                [
                    *list_doubts(self.ratios["doubts"]),
                    *list_records(self.ratios.iter_rows(named=True)),
                ],
            )
        for train, sentences in self.sentences.items():
            yield _Section(f"{train} and {self.target}", sentences=sentences)
        remarks = [*self.set_aside.values(), *self.notes]
        if remarks:
            yield _Section("How the data was read", sentences=remarks)


@dataclass(frozen=True)
class _Section:
    """A titled table, each row with its cells by the heads of their columns, and sentences."""

    title: str
    rows: list[dict[str, str]] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)


def compare(
    train: object,
    target: object,
    answers: object = None,
    *,
    dialect: str = "auto",
    threads: int | None = None,
    memory_limit: str | None = None,
    require: str | None = None,
) -> Comparison:
    """Compare training sets with a target, without a corpora file, a warehouse or Prefect.

    The numbers are those of a run on the same data. Formats and dialects are recognized;
    ``notes`` names them.

    Example::

        compare("train.json", "dev.json", answers="predictions.sql")
        compare({"ours": frame, "synthetic": ["SELECT 1"]}, logged_queries)

    Args:
        train: The training sets: a path or an address, a list of queries or of rows (dicts), a
            frame of Polars, pandas or Arrow, or a Hugging Face data set; or several of these, as a
            list of paths or frames, or as a mapping from names. A list of strings is one of
            queries, unless each string is the path of an existing file or an address.
        target: The target, as one of these.
        answers: Models' answers to the questions of the target, in order or by id, in the form of
            ``train``.
        dialect: The dialect of all, by sqlglot's name; by default the one that parses the most.
        threads: Number of processes and threads; by default NL2SQL_ALIGN_THREADS, else one per CPU.
        memory_limit: DuckDB's memory limit, such as 4GB; by default NL2SQL_ALIGN_MEMORY_LIMIT, else
            4 GB.
        require: A SQL condition that every row of ``ratios`` must satisfy; without answers, every
            row of ``alignment``.

    Raises:
        ConfigurationError: The data or the dialect cannot be taken, or ``require`` is not a
            condition on the columns.
        CorpusError: The target, all training sets, or all answers cannot be used.
        RequirementError: A row does not satisfy the condition.
    """
    from nl2sql_align.tasks.templates.parser_pool import start_worker, stop_workers
    from nl2sql_align.tasks.templates.rules import CANDIDATES

    start_worker(CANDIDATES if dialect == "auto" else ())
    try:
        made = _compare(train, target, answers, dialect, threads, memory_limit)
    finally:
        stop_workers()
    if require is not None:
        from nl2sql_align.tasks.results.read import check_condition

        check_condition(made.alignment if answers is None else made.ratios, require)
    return made


def _compare(
    train: object,
    target: object,
    answers: object,
    dialect: str,
    threads: int | None,
    memory_limit: str | None,
) -> Comparison:
    from nl2sql_align.tasks.run.given_corpora import list_given
    from nl2sql_align.tasks.run.local import run_locally
    from nl2sql_align.tasks.run.options import JobSettings
    from nl2sql_align.tasks.warehouse.folder import Warehouse

    targets = list_given(target, "target")
    if len(targets) != 1:
        raise ConfigurationError(f"a comparison has one target, not {', '.join(targets)}")
    with TemporaryDirectory(prefix="nl2sql-align-") as temporary:
        folder = Path(temporary)
        entries = _make_entries(
            list_given(train, "train"),
            targets,
            {} if answers is None else list_given(answers, "answers"),
            folder,
            dialect,
        )
        warehouse = Warehouse(folder / "warehouse")
        settings = JobSettings(has_comments=False)
        summary = run_locally(
            entries, warehouse, settings, threads=threads, memory_limit=memory_limit
        )
        set_aside = dict(summary.set_aside)
        _check_usable(entries, set_aside)
        return _read_comparison(entries, warehouse, list(summary.notes), set_aside)


def _make_entries(
    train: Mapping[str, object],
    target: Mapping[str, object],
    answers: Mapping[str, object],
    folder: Path,
    dialect: str,
) -> "list[CorpusEntry]":
    from nl2sql_align.tasks.run.given_corpora import make_entry

    entries: list[CorpusEntry] = []
    taken: set[str] = set()
    target_name = ""
    for role, corpora in (("train", train), ("target", target), ("predictions", answers)):
        for given_name, one in corpora.items():
            name = given_name if given_name not in taken else f"{given_name}-{role}"
            if name in taken:
                raise ConfigurationError(f"two corpora have the name '{name}'; rename one")
            taken.add(name)
            keys = {"dialect": dialect}
            if role == "target":
                target_name = name
            elif role == "predictions":
                keys |= {"target": target_name, "model": name}
            entries.append(make_entry(name, one, role, folder, **keys))
    return entries


def _check_usable(entries: "list[CorpusEntry]", set_aside: Mapping[str, str]) -> None:
    """Raise an error if the target, all training sets or all answers are set aside."""
    from nl2sql_align.tasks.run.prepare import SetAside

    for role in ("target", "train", "predictions"):
        of_role = [entry for entry in entries if entry.role == role]
        if of_role and all(entry.name in set_aside for entry in of_role):
            first = of_role[0]
            raise SetAside(first.name, set_aside[first.name]).as_error(first)


def _read_comparison(
    entries: "list[CorpusEntry]",
    warehouse: "Warehouse",
    notes: list[str],
    set_aside: dict[str, str],
) -> Comparison:
    import polars as pl

    from nl2sql_align.tasks.base.connections import connect
    from nl2sql_align.tasks.base.run_sql import query_sql
    from nl2sql_align.tasks.results.database import attach_results
    from nl2sql_align.tasks.views.explain import describe_pair

    [target] = [entry.name for entry in entries if entry.role == "target"]
    with connect() as con:
        # This process has just made the database: `open_results` would search it for foreign code.
        attach_results(con, warehouse.database, "read_only")
        pairs = query_sql(con, "results/read/matrix").pl()
        pairs = pairs.filter(pl.col("source_role") == "train", pl.col("target") == target)
        pairs = pairs.sort("kl_alignment", "source", descending=[True, False])
        ratios = query_sql(con, "results/read/ratio").pl()
        sentences = {source: describe_pair(con, source, target) for source in pairs["source"]}
        corpora: pl.DataFrame = con.table("corpora").pl()
    return Comparison(target, corpora, pairs, ratios, sentences, notes, set_aside)


def format_alignment(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the cells of a row of ``Comparison.alignment``, by the heads of their columns."""
    interval = (row["ci_low"], row["ci_high"])
    return {
        "training set": row["source"],
        "KL-alignment": format_value(row["kl_alignment"], *interval),
        "95% interval": format_interval(*interval),
        "reach": "" if row["reach"] is None else format_value(row["reach"], *interval),
        "JS": format_value(row["js_alignment"]),
        **{
            head: "unknown" if row[name] is None else f"{row[name]:.1%}"
            for head, name in _SHARES.items()
        },
    }


def _format_ratio(row: Mapping[str, Any]) -> dict[str, str]:
    interval = (row["ci_low"], row["ci_high"], 1.0)
    of_reach = (row["reach_ci_low"], row["reach_ci_high"], 1.0)
    reach = row["reach_ratio"]
    return {
        "answers": row["predictions"],
        "training set": row["train"],
        "ratio": format_value(row["alignment_ratio"], *interval),
        "95% interval": format_interval(*interval),
        "verdict": row["verdict"] or "",
        "ratio of reach": "" if reach is None else format_value(reach, *of_reach),
        "its 95% interval": format_interval(*of_reach),
        "its verdict": row["reach_verdict"] or "",
        "answers parsed": f"{row['predictions_parsed_share']:.1%}",
    }


def _escape_markdown(text: str) -> str:
    """Escape text from dumps, so that it is shown as it is."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return re.sub(r"([\\`*_{}\[\]<>()#|!&])", r"\\\1", shown)
