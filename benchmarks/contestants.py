"""The contestants, one command each: ``python -m benchmarks.contestants NAME ARGUMENTS``.

Each prints a JSON object with the seconds of its parts; the whole process is measured from outside.
Contestants share two inputs, as Parquet:

* *queries*: ``corpus``, ``role``, ``dialect``, ``sql``. Every query of every corpus, read from the
  dumps beforehand, so that only our contestants need to know the formats of dumps.
* *templates*: ``corpus``, ``template``. The template of every query that has one, in that order.
"""

import json
import math
import re
import resource
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

SKEW = 0.01
MAX_N = 15


def seconds() -> float:
    return time.perf_counter()


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of the children that it has waited for."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


# Ours ---------------------------------------------------------------------------------------------


def ours(corpora: str, warehouse: str) -> dict[str, Any]:
    """Run the whole job without Prefect."""
    return _ours(corpora, warehouse, is_whole=True)


def our_measures(corpora: str, warehouse: str) -> dict[str, Any]:
    """Run the job without intervals, the report and Prefect."""
    return _ours(corpora, warehouse, is_whole=False)


def _ours(corpora: str, warehouse: str, is_whole: bool) -> dict[str, Any]:
    from nl2sql_align.tasks.base.garbage import collect_rarely, skip_final_collection

    collect_rarely()  # like the command line
    from benchmarks.ours import MEASURES, STAGES, run

    marks = run(Path(corpora), Path(warehouse), STAGES if is_whole else MEASURES)
    skip_final_collection()  # DuckDB then lists its objects on standard error
    return {"marks": marks}


def ours_with_prefect(corpora: str, warehouse: str, *options: str) -> dict[str, Any]:
    """Run the whole job with the command line."""
    from nl2sql_align.flows.cli import main as nl2sql_align

    sys.argv = ["nl2sql-align", "run", corpora, "--warehouse", warehouse, *options]
    try:
        nl2sql_align()
    except SystemExit as end:
        if end.code:
            raise
    return {}


def our_ngrams(templates: str) -> dict[str, Any]:
    """Count the n-grams of each corpus, from templates in memory to counts in memory."""
    import polars as pl

    from nl2sql_align.tasks.ngrams.count import count_ngrams

    corpora = pl.read_parquet(templates).partition_by("corpus", maintain_order=True)
    start = seconds()
    counts = []
    for corpus in corpora:
        distinct = (
            corpus.with_row_index("ordinal")
            .group_by("template")
            .agg(
                n_occurrences=pl.len().cast(pl.Int64),
                example_ordinal=pl.col("ordinal").min().cast(pl.Int64),
            )
        )
        counts.append(count_ngrams(distinct))
    took = seconds() - start
    return {
        "seconds": took,
        "n_distinct": sum(map(len, counts)),
        "n_ngrams": int(sum(one["n_occurrences"].sum() for one in counts)),
    }


def our_templates(queries: str) -> dict[str, Any]:
    """Make the template of each distinct query, one by one, in this process."""
    from nl2sql_align.tasks.base.garbage import freeze_for_forking
    from nl2sql_align.tasks.templates.parse_sharing import parses_are_shared
    from nl2sql_align.tasks.templates.templatizer import Templatizer

    texts = distinct_texts(queries)
    is_shared = parses_are_shared()
    templatizers = {dialect: Templatizer(dialect, shares_parses=is_shared) for dialect in texts}
    freeze_for_forking()  # like our parser processes
    start, cpu_start = seconds(), cpu_seconds()
    n = n_rejected = 0
    for dialect, sqls in texts.items():
        templatize = templatizers[dialect]
        for sql in sqls:
            n_rejected += templatize(sql).template is None
            n += 1
    return {
        "seconds": seconds() - start,
        "cpu_seconds": cpu_seconds() - cpu_start,
        "n": n,
        "n_rejected": n_rejected,
    }


def our_workers(queries: str, folder: str, workers: str) -> dict[str, Any]:
    """Make the template of each distinct query in parser processes, including their start."""
    from concurrent.futures import ThreadPoolExecutor

    import pyarrow as pa
    import pyarrow.parquet as pq

    from nl2sql_align.tasks.templates.parser_pool import ParseJob, parse_part, stop_workers

    jobs = []
    for dialect, sqls in distinct_texts(queries).items():
        source = Path(folder, f"{dialect}.parquet")
        table = pa.table({"first_ordinal": range(len(sqls)), "sql": sqls})
        pq.write_table(table, source, row_group_size=4096)
        for part in range(-(-len(sqls) // 4096)):
            jobs.append(ParseJob(source, part, Path(folder, f"{dialect}-{part}.out"), dialect))
    start, cpu_start = seconds(), cpu_seconds()
    with ThreadPoolExecutor(int(workers)) as pool:
        reports = list(pool.map(parse_part, jobs))
    stop_workers()
    return {
        "seconds": seconds() - start,
        "cpu_seconds": cpu_seconds() - cpu_start,
        "n": sum(report.n_queries for report in reports),
    }


# The parser alone ---------------------------------------------------------------------------------


def parse_one(queries: str, collection: str = "default") -> dict[str, Any]:
    """Call ``sqlglot.parse_one`` on each distinct query, and do nothing else.

    With ``collection`` as ``rare``, garbage is collected as rarely as in our parser processes.
    """
    texts = distinct_texts(queries)
    if collection == "rare":
        from nl2sql_align.tasks.base.garbage import freeze_for_forking

        freeze_for_forking()
    start, cpu_start = seconds(), cpu_seconds()
    n = parse_all(texts)
    return {"seconds": seconds() - start, "cpu_seconds": cpu_seconds() - cpu_start, "n": n}


def parse_one_in_parallel(queries: str, processes: str) -> dict[str, Any]:
    """Call ``sqlglot.parse_one`` in independent processes: the best that this machine can do."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    n = int(processes)
    texts = distinct_texts(queries)
    shares = [{dialect: sqls[i::n] for dialect, sqls in texts.items()} for i in range(n)]
    start = seconds()
    with ProcessPoolExecutor(n, mp_context=get_context("spawn")) as pool:
        n_parsed = sum(pool.map(parse_all, shares))
    return {"seconds": seconds() - start, "n": n_parsed}


def parse_all(texts: dict[str, list[str]]) -> int:
    """Parse the texts of each dialect, and return their number."""
    import logging

    import sqlglot

    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
    for dialect, sqls in texts.items():
        for sql in sqls:
            try:
                sqlglot.parse_one(sql, dialect=dialect)
            except sqlglot.errors.SqlglotError:
                continue
    return sum(map(len, texts.values()))


# Textbook -----------------------------------------------------------------------------------------


def textbook(queries: str, template_by: str = "tree") -> dict[str, Any]:
    """Do the whole job as the paper describes it, in plain Python, in one process.

    The result is the skew divergence alone, for every ordered pair; ours measures more.

    Args:
        queries: Every query of every corpus.
        template_by: ``tree`` for ``textbook_template``; ``ours`` for our ``Templatizer``, so that
            only counting and comparing are plain.
    """
    import pyarrow.parquet as pq

    start = seconds()
    template_of = textbook_template if template_by == "tree" else our_template
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    in_templates = in_ngrams = 0.0
    n_queries = 0
    for row in pq.read_table(queries).to_pylist():
        n_queries += 1
        before = seconds()
        template = template_of(row["sql"], row["dialect"])
        between = seconds()
        if template:
            counts[row["corpus"]].update(slices(template))
        in_ngrams += seconds() - between
        in_templates += between - before
    before = seconds()
    divergences = {
        (source, target): divergence(counts[source], counts[target])
        for source in counts
        for target in counts
    }
    in_matrix = seconds() - before
    return {
        "seconds": seconds() - start,
        "templates": in_templates,
        "ngrams": in_ngrams,
        "matrix": in_matrix,
        "n_queries": n_queries,
        "n_ngrams": sum(sum(count.values()) for count in counts.values()),
        "kl_nats": [[*pair, value] for pair, value in divergences.items()],
    }


def textbook_template(sql: str, dialect: str) -> str | None:
    """Make a template with sqlglot: remove names and literals from the tree, and generate SQL.

    Templates are close to ours (see ``textbook_agreement``), but have sqlglot's spelling and not
    that of the query.
    """
    import sqlglot
    from sqlglot import exp

    try:
        tree = sqlglot.parse_one(sql, dialect=dialect)
    except sqlglot.errors.SqlglotError:
        return None
    for node in tree.walk():
        if isinstance(node, exp.Identifier):
            node.set("this", "_")
            node.set("quoted", False)
        elif isinstance(node, exp.Literal):
            node.set("this", "_")
            node.set("is_string", False)
    text = tree.sql(dialect=dialect, comments=False).replace("<>", "!=")
    return " ".join(
        token.text.upper()
        for token in sqlglot.tokenize(text, dialect=dialect)
        if token.text not in ("_", ".") and token.text.upper() != "AS"
    )


def our_template(sql: str, dialect: str) -> str | None:
    """Make a template by our rules, without sharing parses between queries."""
    from nl2sql_align.tasks.templates.templatizer import Templatizer

    if dialect not in _templatizers:
        _templatizers[dialect] = Templatizer(dialect)
    template: str | None = _templatizers[dialect](sql).template
    return template


_templatizers: dict[str, Any] = {}


def textbook_agreement(queries: str) -> dict[str, Any]:
    """Count the templates of the textbook that are equal to ours."""
    import pyarrow.parquet as pq

    rows = pq.read_table(queries, columns=["sql", "dialect"]).to_pylist()
    n_equal = sum(textbook_template(**row) == our_template(**row) for row in rows)
    return {"n": len(rows), "n_equal": n_equal}


def tokens_of(template: str) -> list[str]:
    return [token.replace("\x1f", " ") for token in _JOINED.sub("\\1\x1f\\2", template).split(" ")]


_JOINED = re.compile(r"\b(ORDER|GROUP|PARTITION) (BY)\b")


def slices(template: str) -> Iterator[str]:
    """Yield the n-grams of a template, exactly as the specification defines them."""
    tokens = tokens_of(template)
    for n in range(1, MAX_N + 1):
        for i in range(len(tokens) - n + 1):
            part = tokens[i : i + n]
            if part[0] == "," or part[-1] == ",":
                continue
            if is_balanced(part) and any(t[0].isalpha() or t[0] == "_" for t in part):
                yield " ".join(part)


def is_balanced(tokens: Iterable[str]) -> bool:
    depth = 0
    for token in tokens:
        if token == "(":
            depth += 1
        elif token == ")":
            depth -= 1
            if depth < 0:
                return False
    return depth == 0


def divergence(source: Counter[str], target: Counter[str]) -> float:
    """Return the skew divergence, in nats."""
    n_source, n_target = source.total(), target.total()
    total = 0.0
    for ngram, n in source.items():
        p = n / n_source
        q = target[ngram] / n_target if ngram in target else 0.0
        total += p * math.log(p / ((1 - SKEW) * q + SKEW * p))
    return total


def textbook_ngrams(templates: str) -> dict[str, Any]:
    """Count n-grams as the textbook does, and do nothing else."""
    corpora = templates_by_corpus(templates)
    start = seconds()
    counts = {
        corpus: Counter(ngram for template in texts for ngram in slices(template))
        for corpus, texts in corpora.items()
    }
    return {
        "seconds": seconds() - start,
        "n_distinct": sum(map(len, counts.values())),
        "n_ngrams": sum(count.total() for count in counts.values()),
    }


# scikit-learn -------------------------------------------------------------------------------------


def scikit_learn(templates: str, sharing: str = "each") -> dict[str, Any]:
    """Use ``CountVectorizer`` and ``scipy.stats.entropy``, without rules for commas and brackets.

    ``sharing`` is ``each`` to count the template of each query, or ``distinct`` to count each
    distinct template once and weight it.
    """
    import numpy as np
    from scipy.stats import entropy
    from sklearn.feature_extraction.text import CountVectorizer

    corpora = templates_by_corpus(templates)
    start = seconds()
    counts = {}
    for corpus, texts in corpora.items():
        vectorizer = CountVectorizer(
            ngram_range=(1, MAX_N),
            lowercase=False,
            token_pattern=r"(?:ORDER|GROUP|PARTITION) BY|\S+",
        )
        if sharing == "distinct":
            weights = Counter(texts)
            matrix = vectorizer.fit_transform(weights)
            sums = np.fromiter(weights.values(), np.int64) @ matrix
        else:
            sums = np.asarray(vectorizer.fit_transform(texts).sum(axis=0)).ravel()
        counts[corpus] = dict(zip(vectorizer.get_feature_names_out(), sums, strict=True))
    in_ngrams = seconds() - start
    for a, b in combinations(counts, 2):
        union = counts[a].keys() | counts[b].keys()
        p = np.array([counts[a].get(ngram, 0) for ngram in union], float)
        q = np.array([counts[b].get(ngram, 0) for ngram in union], float)
        p, q = p / p.sum(), q / q.sum()
        entropy(p, (1 - SKEW) * q + SKEW * p)
        entropy(q, (1 - SKEW) * p + SKEW * q)
    return {
        "seconds": in_ngrams,
        "matrix": seconds() - start - in_ngrams,
        "n_distinct": sum(map(len, counts.values())),
        "n_ngrams": int(sum(sum(count.values()) for count in counts.values())),
    }


# SQL only -----------------------------------------------------------------------------------------


def sql_only(templates: str) -> dict[str, Any]:
    """Count in DuckDB, with ``list_slice`` and ``group by``, each distinct template once."""
    import duckdb

    con = duckdb.connect()
    con.execute("set threads = 2")
    con.execute(f"create table templates as from read_parquet('{templates}')")
    start = seconds()
    con.execute(_SQL_COUNT)
    took = seconds() - start
    row = con.execute("select count(*), sum(n_occurrences) from ngrams").fetchone()
    assert row is not None
    return {"seconds": took, "n_distinct": row[0], "n_ngrams": int(row[1])}


_SQL_COUNT = r"""
create table ngrams as
with distinct_templates as (
    select corpus, template, count(*) as n
    from templates
    group by corpus, template
),

tokens as (
    select
        corpus,
        n,
        string_split(
            regexp_replace(
                template, '\b(ORDER|GROUP|PARTITION) BY\b', '\1' || chr(31) || 'BY', 'g'
            ),
            ' '
        ) as words
    from distinct_templates
),

starts as (
    select *, unnest(range(1, len(words) + 1)) as start
    from tokens
),

slices as (
    select
        corpus,
        n,
        list_slice(words, start, start + length - 1) as ngram
    from (
        select *, unnest(range(1, least(15, len(words) - start + 1) + 1)) as length
        from starts
        where words[start] != ','
    )
    where words[start + length - 1] != ','
),

counted as (
    select corpus, ngram, sum(n)::bigint as n_occurrences
    from slices
    group by corpus, ngram
)

select
    corpus,
    replace(array_to_string(ngram, ' '), chr(31), ' ') as ngram,
    n_occurrences
from counted
where
    list_bool_or(list_transform(ngram, lambda t: regexp_matches(t, '^[\p{L}_]')))
    and list_reduce(
        list_transform(ngram, lambda t: case t when '(' then 1 when ')' then -1 else 0 end),
        lambda depth, step: if(depth < 0, -1000, depth + step),
        0
    ) = 0
"""


# Inputs -------------------------------------------------------------------------------------------


def distinct_texts(queries: str) -> dict[str, list[str]]:
    """Return the distinct texts of each dialect, in the order of their first occurrence."""
    import pyarrow.parquet as pq

    table = pq.read_table(queries, columns=["dialect", "sql"])
    texts: dict[str, dict[str, None]] = defaultdict(dict)
    for dialect, sql in zip(table["dialect"].to_pylist(), table["sql"].to_pylist(), strict=True):
        texts[dialect][sql] = None
    return {dialect: list(found) for dialect, found in texts.items()}


def templates_by_corpus(templates: str) -> dict[str, list[str]]:
    import pyarrow.parquet as pq

    table = pq.read_table(templates, columns=["corpus", "template"])
    corpora: dict[str, list[str]] = defaultdict(list)
    for corpus, template in zip(
        table["corpus"].to_pylist(), table["template"].to_pylist(), strict=True
    ):
        corpora[corpus].append(template)
    return corpora


def exact(corpora: str, warehouse: str, folder: str) -> dict[str, Any]:
    """Compare the tables of the plain path with ours, bit for bit."""
    from benchmarks.plain import differences

    return differences(Path(corpora), Path(warehouse), Path(folder))


CONTESTANTS = {
    "exact": exact,
    "ours": ours,
    "ours-with-prefect": ours_with_prefect,
    "our-measures": our_measures,
    "our-ngrams": our_ngrams,
    "our-templates": our_templates,
    "our-workers": our_workers,
    "parse-one": parse_one,
    "parse-one-in-parallel": parse_one_in_parallel,
    "scikit-learn": scikit_learn,
    "sql-only": sql_only,
    "textbook": textbook,
    "textbook-agreement": textbook_agreement,
    "textbook-ngrams": textbook_ngrams,
}


def main() -> None:
    name, *arguments = sys.argv[1:]
    if name.startswith("our"):
        from nl2sql_align.tasks.base.environment import hide_pandas, set_library_defaults

        hide_pandas()
        set_library_defaults()  # like the command line; others get the defaults of their libraries
    answer = CONTESTANTS[name](*arguments)
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
