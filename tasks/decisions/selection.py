"""Selections of training rows whose templates are distributed like a target's.

Behind ``nl2sql-align select``. ``tasks.decisions.candidates`` reads the candidate rows, and
``tasks.decisions.selection_methods`` chooses among them.
"""

import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import polars as pl

from nl2sql_align.tasks.base.arrays import Floats, Integers
from nl2sql_align.tasks.base.csv_text import format_csv
from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.decisions.candidates import (
    Pool,
    list_dumps,
    load_pool,
    note_accidental,
    note_missing_fields,
    note_repeats,
    read_rows,
)
from nl2sql_align.tasks.decisions.options import Method, Overlap
from nl2sql_align.tasks.decisions.question_weights import read_weights
from nl2sql_align.tasks.decisions.selection_methods import (
    CHOOSING_VERSION,
    Cells,
    Target,
    choose_by_key,
    choose_directly,
    choose_greedily,
    divergence,
    ensure_templates,
    gumbel_noise,
    importance_weights,
)
from nl2sql_align.tasks.decisions.training_files import (
    TrainingFiles,
    TrainingOptions,
    explaining_write_errors,
    write_training_files,
)
from nl2sql_align.tasks.measures.divergence import alignment
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.record import last_run_id, record_decision
from nl2sql_align.tasks.results.versions import list_versions
from nl2sql_align.tasks.warehouse.addresses import expand_home
from nl2sql_align.tasks.warehouse.folder import stage_key
from nl2sql_align.tasks.warehouse.outputs import (
    find_output_folder,
    replace_files,
    write_manifest,
)

MANIFEST: Final = "selection.json"
"""The file of a selection that says how it was made, and lists its files."""

REPLICATES: Final = 20
"""The number of resamples of the target that a direct choice should match."""

_FILES: Final = (MANIFEST, "selection.jsonl", "selection.parquet", "templates.csv")
_CURVE_STEPS: Final = 7
# People notice such a difference of KL-alignments, in the second decimal.
_CLEARLY_BETTER: Final = 0.005
_SOURCE_COLUMNS: Final = (
    "source",
    "license",
    "digest",
    "n_queries",
    "n_rejected",
    "n_overlapping",
    "n_accidental",
    "n_repeated",
    "n_candidates",
    "n_taken_from_source",
    "n_templates_from_source",
    "source_alignment",
    "alignment_without_source",
)


@dataclass(frozen=True)
class SelectionOptions:
    """How to select.

    Attributes:
        budget: The number of rows to take.
        method: How to choose.
        seed: The seed of all noise: that of the rows, and of the target's resamples.
        replicates: For ``direct``: the number of resamples of the target to match, so that the
            choice suits other queries like the target's too; 0 to match the target alone.
        min_templates: The least number of distinct templates.
        max_share: The largest share of the budget from one source.
        caps: Such shares for single sources, instead of ``max_share``.
        exclude_overlap: Which rows are excluded because the target has them too.
        keep_accidental: Keep rows that parse by accident, because a name in them lacks quotes.
        stop: Take fewer rows if more make it worse; see ``Selection.best_size``.
    """

    budget: int
    method: Method = Method.DIRECT
    seed: int = 0
    replicates: int = REPLICATES
    min_templates: int = 0
    max_share: float = 1.0
    caps: Mapping[str, float] | None = None
    exclude_overlap: Overlap = Overlap.NEAR
    keep_accidental: bool = False
    stop: bool = False

    def check(self, sources: Sequence[str]) -> None:
        """Raise ConfigurationError for a value that is out of range or unknown."""
        for name, values in (("method", Method), ("exclude_overlap", Overlap)):
            if getattr(self, name) not in list(values):
                raise ConfigurationError(
                    f"{name}: {str(getattr(self, name))!r} is not one of {', '.join(values)}"
                )
        if self.budget < 1:
            raise ConfigurationError(f"budget: {self.budget} is less than 1")
        if not 0 <= self.replicates <= 1000:
            raise ConfigurationError(f"replicates: {self.replicates} is not between 0 and 1000")
        if not 0 <= self.min_templates <= self.budget:
            raise ConfigurationError(
                f"min_templates: {self.min_templates} is not between 0 and "
                f"the budget of {self.budget}"
            )
        for name, share in {"max_share": self.max_share, **(self.caps or {})}.items():
            if not 0 <= share <= 1:
                raise ConfigurationError(f"cap of {name}: {share} is not between 0 and 1")
        for name in self.caps or {}:
            if name not in sources:
                raise ConfigurationError(
                    f"cap of '{name}': it is not a source; the sources are {', '.join(sources)}"
                )


@dataclass(frozen=True)
class Selection:
    """The rows selected, and how close they are to the target.

    Attributes:
        selection: Its name, a digest of dumps, target, sources and options.
        folder: The folder of ``selection.jsonl``, ``selection.parquet``, ``selection.json`` and
            ``templates.csv``.
        target: The target.
        options: How the rows were selected.
        n_taken: The number of rows.
        n_templates: The number of their distinct templates.
        kl_nats: Their skew divergence from the target.
        kl_alignment: Their KL-alignment with the target.
        pool_alignment: That of all candidates together.
        best_size: The number of rows after which more make it worse. For ``greedy``, the
            cross-entropy is lowest there; otherwise it is the step of the budget at which the
            alignment is highest, or the last one unless a step is clearly higher.
        sources: The number of rows taken from each source, as in table ``selections``.
        curve: The alignment at steps of the budget, as in table ``selection_curves``.
        notes: Warnings and hints for the user.
        training: The files for a trainer, if they were asked for.
        weights: The file with the weights of the target's questions, if there is one.
    """

    selection: str
    folder: Path
    target: str
    options: SelectionOptions
    n_taken: int
    n_templates: int
    kl_nats: float
    kl_alignment: float
    pool_alignment: float
    best_size: int
    sources: pl.DataFrame
    curve: pl.DataFrame
    notes: tuple[str, ...]
    training: TrainingFiles | None = None
    weights: Path | None = None


@dataclass(frozen=True)
class Choice:
    """The number of rows to take from each cell, for several sizes."""

    sizes: tuple[int, ...]
    taken: list[Integers]
    best_size: int


def select(
    place: Path | str,
    target: str,
    sources: Sequence[str],
    out: Path | str,
    options: SelectionOptions,
    training: TrainingOptions | None = None,
    weights: Path | str | None = None,
) -> Selection:
    """Choose rows that are distributed like a target, and write them to a folder.

    Records the result in tables ``selections`` and ``selection_curves`` of the published database.

    Args:
        place: The warehouse folder, or its address on an object store.
        target: The corpus to match.
        sources: The corpora to choose from, in order of preference: equally good rows are taken
            from the first of them. If empty, all with the role train, those with questions first.
        out: The folder to write to. It is created if it does not exist. The files of an earlier
            selection there are replaced.
        options: How to select.
        training: How to write the rows for a trainer, too; by default they are not.
        weights: A file with the weight of each question of the target, such as an error rate; see
            docs/selection.md. Alignments of the selection are then those with the weighted target.
            By default, all questions weigh 1.

    Raises:
        ConfigurationError: A corpus does not exist, an option is wrong, or the folder has a file of
            such a name that no selection has written.
        WarehouseError: The results are missing, or another run has locked them for a minute.
        AlignError: The folder cannot be written.
    """
    out = find_output_folder(out)
    weights = None if weights is None else expand_home(weights)
    options.check(sources or list(options.caps or {}))
    with open_results(place) as con:
        pool = load_pool(
            con,
            place,
            target,
            sources,
            options.exclude_overlap,
            options.seed,
            keep_accidental=options.keep_accidental,
        )
        options.check(pool.sources["corpus"].to_list())
        pool = _limit_sources(pool, options)
        weighted: Integers | Floats = pool.target.n_occurrences
        if weights is not None:
            weighted = weighted * _weigh_queries(con, pool, weights)
        aim = pool.target.as_target(
            options.replicates, options.seed, of=weighted, columns=pool.columns
        )
        choice = whole = choose(
            pool, aim, options, curve_sizes(options.budget, pool.cells.n_available)
        )
        while options.stop and options.min_templates <= choice.best_size < choice.sizes[-1]:
            sizes = curve_sizes(choice.best_size, choice.best_size)
            choice = choose(pool, aim, options, sizes)
        taken = choice.taken[-1]
        run_id = last_run_id(con)
        sources_table = _sources_table(con, pool, aim, taken)
        rows = read_rows(con, pool, taken)
        dumps = list_dumps(con)
    changed = note_missing_fields(pool.sources, rows)
    nats = divergence(pool.cells, taken, aim)
    n_templates = int((pool.cells.per_template(taken) > 0).sum())
    selection = Selection(
        selection=_name_selection(pool, target, options, None if weights is None else weighted),
        folder=out,
        target=target,
        options=options,
        n_taken=int(taken.sum()),
        n_templates=n_templates,
        kl_nats=nats,
        kl_alignment=alignment(nats),
        pool_alignment=alignment(divergence(pool.cells, pool.cells.n_rows, aim)),
        best_size=choice.best_size,
        sources=sources_table,
        curve=_curve_table(pool, aim, choice),
        notes=(
            *_note_weights(target, weights),
            *_note_best_size(pool.cells, aim, whole, choice),
            *_notes(pool, options, whole, rows, n_templates),
            *changed,
        ),
        weights=weights,
    )
    selection = _complete_tables(selection, run_id)
    with (
        explaining_write_errors(out),
        replace_files(out, "select", MANIFEST, dumps, _FILES) as temporary,
    ):
        if training is not None:
            files = write_training_files(rows, temporary, training, options.seed)
            notes = (*selection.notes, *files.list_notes(not changed))
            selection = replace(selection, training=files.moved_to(out), notes=notes)
        _write_files(selection, rows, _templates_table(pool, taken), temporary)
    for table, frame in (
        ("selections", selection.sources),
        ("selection_curves", selection.curve),
    ):
        record_decision(place, table, frame, {"selection": selection.selection})
    return selection


def choose(pool: Pool, target: Target, options: SelectionOptions, sizes: Sequence[int]) -> Choice:
    """Choose rows by one of the methods, for several sizes.

    Args:
        pool: The candidates, with the limits of the sources.
        target: The distribution to match.
        options: How to choose.
        sizes: The numbers of rows to take, ascending.
    """
    cells, least = pool.cells, options.min_templates
    best_size = None
    keys = -np.log(pool.noise)  # any function of the noise gives a random order
    if options.method == Method.DIRECT:
        taken = choose_directly(cells, target, sizes, least)
    elif options.method == Method.GREEDY:
        greedy = choose_greedily(cells, target, sizes)
        taken, best_size = greedy.choices, greedy.best_size
    else:
        if options.method == Method.IMPORTANCE:
            keys = -(
                importance_weights(cells, target)[cells.template][pool.row_cells]
                + gumbel_noise(pool.noise)
            )
        taken = choose_by_key(cells, pool.row_cells, keys, sizes)
    if least and options.method != Method.DIRECT:
        taken[-1] = ensure_templates(
            cells, taken[-1], least, _cell_keys(pool, target, options, keys)
        )
    if best_size is None:
        best_size = _find_best_size(cells, taken, target, by_chance=options.method == Method.RANDOM)
    return Choice(tuple(sizes), taken, best_size)


def _find_best_size(
    cells: Cells, taken: Sequence[Integers], target: Target, *, by_chance: bool
) -> int:
    """Return the size with the highest alignment, or the last unless another is clearly better.

    A few random rows are better by chance, which other rows would not repeat.
    """
    if by_chance:
        return int(taken[-1].sum())
    alignments = [alignment(divergence(cells, one, target)) for one in taken]
    best = int(np.argmax(alignments))
    is_clear = alignments[best] - alignments[-1] >= _CLEARLY_BETTER
    return int(taken[best if is_clear else -1].sum())


def _cell_keys(pool: Pool, target: Target, options: SelectionOptions, keys: Floats) -> Floats:
    """Return a key for each cell; missing templates are added from the lowest keys on."""
    if options.method == Method.GREEDY:
        return -importance_weights(pool.cells, target)[pool.cells.template]
    lowest = np.full(len(pool.cells.template), np.inf)
    np.minimum.at(lowest, pool.row_cells, keys)
    return lowest


def curve_sizes(budget: int, n_available: int) -> list[int]:
    """Return the steps of the budget at which the alignment is computed, each double the last."""
    most = min(budget, n_available)
    return sorted({most >> step for step in range(_CURVE_STEPS) if most >> step})


def _weigh_queries(con: duckdb.DuckDBPyConnection, pool: Pool, file: Path) -> Floats:
    """Return the weight of each templated query of the target."""
    read = read_weights(con, pool.target.corpus, file)
    of_queries = pl.DataFrame({"ordinal": pool.target.ordinal}).join(
        read, on="ordinal", how="left", maintain_order="left"
    )
    weights: Floats = of_queries["weight"].to_numpy()
    if not weights.any():
        raise ConfigurationError(
            f"{file}: all queries of {pool.target.corpus} with a template weigh 0; give some a "
            "higher weight"
        )
    return weights


def _note_weights(target: str, file: Path | None) -> list[str]:
    if file is None:
        return []
    return [
        f"the questions of {target} are weighed by {file.name}; only the alignments of whole "
        "corpora are those without weights"
    ]


def _limit_sources(pool: Pool, options: SelectionOptions) -> Pool:
    """Return the pool with the number of rows that each source may give."""
    shares = [(options.caps or {}).get(name, options.max_share) for name in pool.sources["corpus"]]
    most = np.array([int(share * options.budget + 1e-9) for share in shares], np.int64)
    limits = np.minimum(most, pool.cells.limits)
    if not limits.any():
        raise ConfigurationError("the caps leave no row to take; raise them or the budget")
    return replace(pool, cells=replace(pool.cells, limits=limits))


def _note_best_size(cells: Cells, target: Target, whole: Choice, choice: Choice) -> list[str]:
    """Return a note if fewer rows than the budget are better, or were taken for that reason.

    Args:
        cells: The candidates.
        target: The distribution to match.
        whole: The choice for the budget.
        choice: The choice that was made.
    """
    n_whole, n_taken = int(whole.taken[-1].sum()), int(choice.taken[-1].sum())
    if whole.best_size == n_whole:
        return []
    worse = f"{n_whole:,} rows reach {alignment(divergence(cells, whole.taken[-1], target)):.3f}"
    if n_taken < n_whole:
        return [f"stopped at {n_taken:,} rows, because more make it worse: {worse}"]
    at_best = [one for one in whole.taken if one.sum() == whole.best_size]
    if not at_best:
        return [f"the cross-entropy is lowest after {whole.best_size:,} rows; --stop takes no more"]
    better = alignment(divergence(cells, at_best[0], target))
    return [
        f"more rows make it worse: {whole.best_size:,} rows reach {better:.3f}, {worse}; --stop "
        "takes the better number"
    ]


def _notes(
    pool: Pool, options: SelectionOptions, whole: Choice, rows: pl.DataFrame, n_templates: int
) -> tuple[str, ...]:
    notes = []
    n_taken = len(rows)
    more = "there are no more"
    if options.caps or options.max_share < 1:
        more += " within the caps"
    n_available = int(whole.taken[-1].sum())
    if n_available < options.budget:
        notes.append(f"only {n_available:,} of {options.budget:,} rows: {more}")
    if n_templates < options.min_templates:
        notes.append(
            f"only {n_templates:,} of {options.min_templates:,} distinct templates: {more}"
        )
    notes += _note_caps(options, rows)
    notes += note_accidental(pool.sources)
    notes += note_repeats(pool.sources)
    notes += _note_repeated_text(rows)
    unasked = rows.filter(pl.col("question").is_null())
    if len(unasked):
        named = ", ".join(unasked["source"].unique(maintain_order=True))
        notes.append(
            f"{len(unasked):,} of {n_taken:,} rows have no question (those of {named}); if your "
            "trainer needs questions, leave these corpora out of --from"
        )
    unlicensed = pool.sources.filter(pl.col("license").is_null())["corpus"].to_list()
    if unlicensed:
        notes.append(
            f"the license of {', '.join(unlicensed)} is unknown; add it to the corpora file "
            '(license = "...")'
        )
    return tuple(notes)


def _note_caps(options: SelectionOptions, rows: pl.DataFrame) -> list[str]:
    """Return a note for each source with more of the rows than its cap: caps are of the budget."""
    notes = []
    for name, n_rows in rows["source"].value_counts(sort=True).rows():
        share = (options.caps or {}).get(name, options.max_share)
        if n_rows > math.ceil(share * len(rows)):
            notes.append(
                f"{n_rows:,} of {len(rows):,} rows are of {name}, more than its cap of {share:g}, "
                f"which is a share of the budget; --budget {len(rows)} applies it to these rows"
            )
    return notes


def _note_repeated_text(rows: pl.DataFrame, n_repeats: int = 10, share: float = 0.02) -> list[str]:
    """Return a note if one text is in at least ``n_repeats`` rows and in this share of them."""
    counts = rows.group_by("sql").len().sort("len", "sql", descending=[True, False])
    n, text = counts.select("len", "sql").row(0) if len(counts) else (0, "")
    if n < max(n_repeats, share * len(rows)):
        return []
    shown = textwrap.shorten(text, 60, placeholder=" ...")
    return [f"{n:,} of {len(rows):,} rows have the same text: {shown}"]


def _name_selection(
    pool: Pool, target: str, options: SelectionOptions, weights: Integers | Floats | None
) -> str:
    return stage_key(
        version=CHOOSING_VERSION,
        target=target,
        sources=pool.sources.select("corpus", "digest").rows(),
        options=asdict(options),
        **({} if weights is None else {"weights": weights.tolist()}),
    )[:16]


def _sources_table(
    con: duckdb.DuckDBPyConnection, pool: Pool, target: Target, taken: Integers
) -> pl.DataFrame:
    """Return the rows taken from each source, its alignment alone, and that of all others."""
    cells, n_sources = pool.cells, len(pool.sources)
    known = query_sql(con, "decisions/selection/source_alignments", target=pool.target.corpus).pl()
    without = [
        divergence(cells, np.where(cells.source == one, 0, taken), target)
        if (taken[cells.source != one] > 0).any()
        else None
        for one in range(n_sources)
    ]
    return (
        pool.sources.join(known, on="corpus", how="left", maintain_order="left")
        .with_columns(
            n_taken_from_source=np.bincount(
                cells.source, weights=taken, minlength=n_sources
            ).astype(np.int64),
            n_templates_from_source=np.bincount(
                cells.source, weights=taken > 0, minlength=n_sources
            ).astype(np.int64),
            alignment_without_source=pl.Series(
                [None if nats is None else alignment(nats) for nats in without], dtype=pl.Float64
            ),
        )
        .rename({"corpus": "source"})
        .select(
            "source",
            "license",
            "n_queries",
            "n_rejected",
            "n_overlapping",
            "n_accidental",
            "n_repeated",
            "n_candidates",
            "n_taken_from_source",
            "n_templates_from_source",
            "source_alignment",
            "alignment_without_source",
            "digest",
        )
    )


def _templates_table(pool: Pool, taken: Integers) -> pl.DataFrame:
    """Return how often each template was taken, among the candidates, and in the target."""
    cells = pool.cells
    asked = pool.target
    n_target = int(asked.n_occurrences.sum())
    of_target = np.bincount(asked.template, asked.n_occurrences, minlength=len(asked.templates))
    in_target = pl.DataFrame({"template": asked.templates, "n_in_target": of_target})
    per_template, n_taken = cells.per_template(taken), int(taken.sum())
    return (
        pl.DataFrame(
            {
                "template": pool.templates,
                "n_taken": per_template,
                "n_candidates": cells.per_template(cells.n_rows),
            }
        )
        .filter(pl.col("n_taken") > 0)
        .join(in_target, on="template", how="left", maintain_order="left")
        .with_columns(
            pl.col("n_in_target").fill_null(0).cast(pl.Int64),
            share_taken=pl.col("n_taken") / n_taken,
        )
        .with_columns(share_in_target=pl.col("n_in_target") / n_target)
        .sort("n_taken", "template", descending=[True, False])
    )


def _curve_table(pool: Pool, target: Target, choice: Choice) -> pl.DataFrame:
    cells = pool.cells
    randoms = choose_by_key(cells, pool.row_cells, -np.log(pool.noise), choice.sizes)
    steps = []
    for taken, at_random in zip(choice.taken, randoms, strict=True):
        nats = divergence(cells, taken, target)
        steps.append(
            {
                "n_rows": int(taken.sum()),
                "n_templates": int((cells.per_template(taken) > 0).sum()),
                "kl_nats": nats,
                "kl_alignment": alignment(nats),
                "random_alignment": alignment(divergence(cells, at_random, target)),
            }
        )
    return pl.DataFrame(steps).unique("n_rows", keep="last", maintain_order=True)


def _complete_tables(selection: Selection, run_id: str) -> Selection:
    """Return the selection with the columns that its tables have when published."""
    options = selection.options
    common = {
        "selection": selection.selection,
        "run_id": run_id,
        "target": selection.target,
        "method": options.method,
    }
    parameters = json.dumps(
        {**asdict(options), "choosing": CHOOSING_VERSION, **_name_weights(selection)},
        sort_keys=True,
    )
    sources = selection.sources.with_columns(
        **{name: pl.lit(value) for name, value in common.items()},
        budget=pl.lit(options.budget, pl.Int64),
        seed=pl.lit(options.seed, pl.Int64),
        parameters=pl.lit(parameters),
        n_taken=pl.lit(selection.n_taken, pl.Int64),
        n_taken_templates=pl.lit(selection.n_templates, pl.Int64),
        kl_nats=pl.lit(selection.kl_nats),
        kl_alignment=pl.lit(selection.kl_alignment),
        pool_alignment=pl.lit(selection.pool_alignment),
        best_size=pl.lit(selection.best_size, pl.Int64),
        created_at=pl.lit(datetime.now(UTC)),
    )
    curve = selection.curve.with_columns(**{name: pl.lit(value) for name, value in common.items()})
    return replace(selection, sources=sources, curve=curve)


def _name_weights(selection: Selection) -> dict[str, str]:
    return {} if selection.weights is None else {"weights": str(selection.weights)}


def _write_files(
    selection: Selection, rows: pl.DataFrame, templates: pl.DataFrame, folder: Path
) -> None:
    rows.write_parquet(folder / "selection.parquet")
    with (folder / "selection.jsonl").open("w", encoding="utf-8") as lines:
        for row in rows.iter_rows(named=True):
            row["record"] = json.loads(row["record"]) if row["record"] else None
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
    (folder / "templates.csv").write_text(format_csv(templates), encoding="utf-8", newline="")
    summary = {
        **{
            name: getattr(selection, name)
            for name in ("selection", "target", "n_taken", "n_templates", "kl_nats")
        },
        "kl_alignment": selection.kl_alignment,
        "pool_alignment": selection.pool_alignment,
        "best_size": selection.best_size,
        "options": asdict(selection.options),
        **_name_weights(selection),
        "run_id": selection.sources["run_id"][0],
        "created_at": selection.sources["created_at"][0],
        "versions": {**list_versions(), "choosing": str(CHOOSING_VERSION)},
        "sources": selection.sources.select(_SOURCE_COLUMNS).to_dicts(),
        "curve": selection.curve.drop("selection", "run_id", "target", "method").to_dicts(),
        "notes": selection.notes,
    }
    write_manifest(folder, "select", MANIFEST, summary)
