"""The cost of each stage per million queries: ``python -m benchmarks.rates FILE.parquet ...``.

Run the stages over each file (see ``benchmarks.generate``) with one thread, in a warehouse of its
own. Print a Markdown table of the CPU seconds of this process and its parsers, which other work on
the machine affects less than wall-clock time, and the sizes of the files.
"""

import argparse
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from nl2sql_align.tasks.base.environment import set_library_defaults


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("files", nargs="+", type=Path)
    options.add_argument("--memory-limit")
    given = options.parse_args()
    set_library_defaults()
    for file in given.files:
        with tempfile.TemporaryDirectory() as folder:
            measure(file, Path(folder), given.memory_limit)


def measure(file: Path, folder: Path, memory_limit: str | None) -> None:
    # Imported here, after the settings of these libraries are in the environment.
    import pyarrow.parquet as pq

    from nl2sql_align.tasks.base.connections import bounded
    from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
    from nl2sql_align.tasks.ngrams.corpus_counts import count_divided
    from nl2sql_align.tasks.results.packed_queries import pack_queries
    from nl2sql_align.tasks.results.publish import RunRecord, publish
    from nl2sql_align.tasks.results.versions import list_versions
    from nl2sql_align.tasks.run import steps
    from nl2sql_align.tasks.run.prepare import Prepared, prepare_corpus
    from nl2sql_align.tasks.templates.parser_pool import parse_part, stop_workers
    from nl2sql_align.tasks.warehouse.folder import Warehouse
    from nl2sql_align.tasks.warehouse.part_files import count_distinct_ngrams, list_parts

    warehouse = Warehouse(folder / "warehouse")
    spent: dict[str, float] = {}

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        before = cpu_seconds()
        yield
        stop_workers()  # CPU time of a process is known once it has ended
        spent[name] = cpu_seconds() - before

    entry = CorpusEntry(name="all", role="target", format="gretel", dialect="sqlite", path=file)
    with warehouse.locked(), bounded(1, memory_limit, warehouse.scratch):
        with stage("ingest"):
            prepared = prepare_corpus(entry, warehouse)
            assert isinstance(prepared, Prepared), prepared
        with stage("templates"):
            for job in prepared.jobs:
                parse_part(job)
        with stage("ngrams"):
            corpus = steps.count_corpus(prepared, warehouse)
            if corpus.division is not None:
                count_divided(corpus.division)
            packed = pack_queries(corpus, warehouse)
        with stage("matrix"):
            matrix = steps.measure_pairs([corpus], warehouse)
        with stage("publish"):
            record = RunRecord("rates", datetime.now(UTC), {}, list_versions())
            publish(warehouse, [corpus], matrix.pairs, matrix.contributions, record)
    n_queries = pq.read_metadata(corpus.queries).num_rows
    files = {
        "queries": [corpus.queries],
        "templates": [corpus.templates],
        "counts": list_parts(corpus.ngrams),
        "packed queries": list_parts(packed),
        "the database": [warehouse.database],
    }
    n_bytes = {name: sum(path.stat().st_size for path in paths) for name, paths in files.items()}
    sizes = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in n_bytes.items())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    n_distinct = count_distinct_ngrams(corpus.ngrams)
    print(
        f"\n{n_queries:,} queries, {n_distinct:,} distinct n-grams; {sizes}; peak {peak:,.0f} MB\n"
    )
    print("| stage | CPU s | CPU s per million queries |\n| --- | --- | --- |")
    for name, seconds in spent.items():
        print(f"| {name} | {seconds:.1f} | {seconds / n_queries * 1e6:.0f} |")


def cpu_seconds() -> float:
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


if __name__ == "__main__":
    main()
