"""Synthetic corpora of any size, with the columns of Gretel's Parquet files.

A query is a *sketch*, SQL with slots for names and values, filled from one of 400 invented
databases. Sketches come from a grammar with joins, nesting, common table expressions, windows, set
operations, CASE, aggregates, predicates, and some statements that change data. They are drawn by a
power law from an infinite list, so that new templates become rarer but never stop, as in real
corpora: about 2,000 templates in 9,000 queries, and 150,000 in 2.5 million. Memory does not grow
with the corpus.

    python -m benchmarks.generate one FILE --queries 100000
    python -m benchmarks.generate many FOLDER --corpora 200 --queries 5000

Equal arguments give equal rows on every machine and, with the same pyarrow, equal bytes.
"""

import argparse
from bisect import bisect
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

SEED: Final = "nl2sql-align benchmarks 1"
ROWS_PER_GROUP: Final = 20_000
N_DATABASES: Final = 400

# The rank of a sketch exceeds r with probability (1 + r / HEAD) ** (1 - POWER): the number of
# templates grows with n ** (1 / POWER), and the most frequent one has some 8% of all queries.
POWER: Final = 1.28
HEAD: Final = 3
_TEXT: Final = ("domain", "domain_description", "sql_complexity", "sql_complexity_description")
_TASK: Final = ("sql_task_type", "sql_task_type_description")
SCHEMA: Final = pa.schema(
    [
        ("id", pa.int32()),
        *((name, pa.string()) for name in (*_TEXT, *_TASK)),
        *((name, pa.string()) for name in ("sql_prompt", "sql_context", "sql", "sql_explanation")),
    ]
)

_THINGS: Final = (
    "orchard lantern harbour kettle meadow violin glacier pottery falcon bakery tram saddle comet "
    "quarry anchor beehive cinema dune easel ferry garden hostel island jetty kiosk library mill "
    "nursery oven parcel quilt river sailor temple umbrella vessel wharf yard zeppelin archive "
    "bridge canal depot estate forge grove hangar inn junction kiln lodge market novel outpost"
).split()
_PARTS: Final = (
    "order visit payment member review ticket item event booking repair shift route batch report "
    "contract score lesson signal trip sample"
).split()
_QUALITIES: Final = (
    "name price weight status city year rating capacity category height region budget color age "
    "salary duration level country distance stock score month owner title quantity grade source "
    "volume length tier speed depth code phone balance season width kind share amount"
).split()
_WORDS: Final = (
    "amber basil cedar delta ember fjord grape hazel indigo jade kelp lilac maple north olive "
    "pearl quartz russet sienna teal umber violet willow xenon yarrow zinc"
).split()


class Table(NamedTuple):
    """A table, its key first among its columns."""

    name: str
    columns: tuple[str, ...]


class Database(NamedTuple):
    """A made-up database, with the statements that create it."""

    name: str
    tables: tuple[Table, ...]
    context: str


@lru_cache(maxsize=N_DATABASES)
def database(number: int) -> Database:
    """Return the database with a number; it is the same on every call."""
    rng = Random(f"{SEED} database {number}")
    thing = rng.choice(_THINGS)
    tables = []
    for part in rng.sample(_PARTS, rng.randint(5, 9)):
        name = rng.choice((f"{part}s", f"{thing}_{part}s", f"{thing}_{part}", part))
        if name == "order":
            name = "orders"
        qualities = rng.sample(_QUALITIES, rng.randint(7, 12))
        columns = (
            f"{part}_id",
            *(rng.choice((q, f"{part}_{q}", f"{q}_{part}")) for q in qualities),
        )
        tables.append(Table(name, tuple(f"{c}_no" if c in _TAKEN else c for c in columns)))
    context = " ".join(
        f"CREATE TABLE {table.name} ({', '.join(f'{column} TEXT' for column in table.columns)});"
        for table in tables
    )
    return Database(f"{thing}_{number}", tuple(tables), context)


_TAKEN: Final = frozenset("year month level source share code".split())


class Sketch(NamedTuple):
    """SQL with a ``%s`` for each slot: a kind and, for names, which table and which column."""

    pattern: str
    slots: tuple[tuple[str, int, int], ...]
    n_tables: int
    complexity: int


class _Writer:
    """Writes one sketch: each method appends to the pattern, from left to right."""

    def __init__(self, rng: Random, richness: float) -> None:
        self.rng = rng
        self.richness = richness  # 0: short queries on one table; 1: long, nested ones
        self.out: list[str] = []
        self.slots: list[tuple[str, int, int]] = []
        self.n_tables = 0
        self.complexity = 0
        self.style = rng.choice(("bare", "numbered", "full"))

    def sketch(self) -> Sketch:
        roll = self.rng.random()
        if roll < 0.04:
            self.change()
        elif roll < 0.04 + 0.12 * self.richness:
            self.with_tables()
        elif roll < 0.09 + 0.16 * self.richness:
            self.select(0)
            self.out.append(self.rng.choice((" UNION ", " UNION ALL ", " INTERSECT ", " EXCEPT ")))
            self.select(0, n_items=1)
        else:
            self.select(0)
        return Sketch("".join(self.out), tuple(self.slots), self.n_tables, self.complexity)

    # Pieces ---------------------------------------------------------------------------------------

    def slot(self, kind: str, table: int = 0, column: int = 0) -> None:
        self.out.append("%s")
        self.slots.append((kind, table, column))

    def odds(self, probability: float) -> bool:
        return self.rng.random() < probability

    def column(self, scope: list[int]) -> None:
        table = self.rng.choice(scope)
        if len(scope) > 1 or self.style == "full":
            if self.style == "numbered":
                self.out.append(f"T{table + 1}.")
            else:
                self.slot("table", table)
                self.out.append(".")
        self.slot("column", table, self.rng.randint(0, 7))

    def constant(self) -> None:
        self.slot(self.rng.choice(("number", "number", "word", "date")))

    def term(self, scope: list[int], depth: int) -> None:
        """Write an expression with one value per row."""
        rng, out = self.rng, self.out
        roll = rng.random() / (0.35 + 0.65 * self.richness)
        if roll > 0.34 or depth > 3:
            self.column(scope)
        elif roll < 0.08:
            out.append("CASE")
            for _ in range(rng.choice((1, 1, 1, 2, 3))):
                out.append(" WHEN ")
                self.predicate(scope, depth + 1)
                out.append(" THEN ")
                self.constant() if self.odds(0.7) else self.column(scope)
            if self.odds(0.85):
                out.append(" ELSE ")
                out.append("NULL") if self.odds(0.15) else self.constant()
            out.append(" END")
            self.complexity += 1
        elif roll < 0.15:
            out.append(rng.choice(("", "(")))
            bracket = out[-1]
            self.term(scope, depth + 1)
            out.append(rng.choice((" + ", " - ", " * ", " / ", " || ")))
            self.term(scope, depth + 1)
            out.append(")" if bracket else "")
        elif roll < 0.20:
            out.append("CAST(")
            self.term(scope, depth + 1)
            out.append(rng.choice((" AS REAL)", " AS INTEGER)", " AS TEXT)")))
        else:
            name, n_constants = rng.choice(_FUNCTIONS)
            out.append(f"{name}(")
            self.term(scope, depth + 1)
            for _ in range(n_constants):
                out.append(", ")
                self.slot("number")
            out.append(")")

    def aggregate(self, scope: list[int], depth: int) -> None:
        if self.odds(0.3):
            self.out.append("COUNT(*)")
            return
        self.out.append(
            self.rng.choice(("COUNT(", "SUM(", "AVG(", "MIN(", "MAX(", "COUNT(DISTINCT "))
        )
        if self.odds(0.3 * self.richness):
            self.term(scope, depth + 1)
        else:
            self.column(scope)
        self.out.append(")")
        if self.odds(0.12 * self.richness):
            self.out.append(self.rng.choice((" / ", " * 100.0 / ", " - ")))
            self.aggregate(scope, depth + 1)

    def window(self, scope: list[int]) -> None:
        rng, out = self.rng, self.out
        function = rng.choice(
            ("ROW_NUMBER()", "RANK()", "DENSE_RANK()", "SUM(", "AVG(", "LAG(", "LEAD(", "COUNT(")
        )
        out.append(function)
        if function.endswith("("):
            self.column(scope)
            out.append(")")
        out.append(" OVER (")
        is_divided = self.odds(0.65)
        if is_divided:
            out.append("PARTITION BY ")
            self.column(scope)
        out.append(" ORDER BY " if is_divided else "ORDER BY ")
        self.column(scope)
        out.append(rng.choice(("", " DESC", " ASC")))
        if self.odds(0.12):
            out.append(" ROWS BETWEEN ")
            self.slot("small")
            out.append(" PRECEDING AND CURRENT ROW")
        out.append(")")
        self.complexity += 2

    def predicate(self, scope: list[int], depth: int) -> None:
        """Write a condition on a row."""
        rng, out = self.rng, self.out
        roll = rng.random()
        if roll < 0.46 or depth > 3:
            self.column(scope)
            out.append(
                rng.choice((" = ", " = ", " = ", " > ", " < ", " >= ", " <= ", " != ", " <> "))
            )
            self.constant()
        elif roll < 0.53:
            self.term(scope, depth + 1)
            out.append(rng.choice((" = ", " > ", " < ")))
            self.term(scope, depth + 1)
        elif roll < 0.60:
            self.column(scope)
            out.append(rng.choice((" LIKE ", " LIKE ", " NOT LIKE ")))
            self.slot("like")
        elif roll < 0.67:
            self.column(scope)
            out.append(" BETWEEN ")
            self.slot("number")
            out.append(" AND ")
            self.slot("number")
        elif roll < 0.73:
            self.column(scope)
            out.append(rng.choice((" IN (", " IN (", " NOT IN (")))
            for i in range(rng.randint(2, 4)):
                out.append(", " if i else "")
                self.slot("word")
            out.append(")")
        elif roll < 0.79:
            self.column(scope)
            out.append(rng.choice((" IS NULL", " IS NOT NULL", " IS NOT NULL")))
        elif roll < 0.85:
            out.append("(")
            self.predicate(scope, depth + 1)
            out.append(" OR ")
            self.predicate(scope, depth + 1)
            out.append(")")
        elif roll < 0.85 + 0.12 * self.richness and depth < 2:
            shape = rng.random()
            if shape < 0.5:
                self.column(scope)
                out.append(rng.choice((" IN (", " IN (", " NOT IN (")))
                self.select(depth + 1, n_items=1)
            elif shape < 0.85:
                self.column(scope)
                out.append(rng.choice((" = (", " > (", " < (")))
                self.select(depth + 1, n_items=1, scalar=True)
            else:
                out.append(rng.choice(("EXISTS (", "NOT EXISTS (")))
                self.select(depth + 1, n_items=1)
            out.append(")")
            self.complexity += 2
        else:
            self.column(scope)
            out.append(" = ")
            self.constant()

    def conditions(self, scope: list[int], depth: int) -> None:
        n = self.rng.choice((1, 1, 1, 2, 2, 3) if self.richness < 0.5 else (1, 1, 2, 2, 3, 3, 4))
        for i in range(n):
            if i:
                self.out.append(self.rng.choice((" AND ", " AND ", " AND ", " OR ")))
            self.predicate(scope, depth)

    # Statements -----------------------------------------------------------------------------------

    def select(self, depth: int, n_items: int = 0, *, scalar: bool = False) -> None:
        rng, out = self.rng, self.out
        most = 1 if depth > 1 else 2 if depth else 4
        n = 1
        while n < most and self.odds(0.2 + 0.35 * self.richness):
            n += 1
        first = self.n_tables
        self.n_tables += n
        scope = list(range(first, first + n))
        self.complexity += n - 1
        out.append("SELECT ")
        grouped = not scalar and depth < 2 and self.odds(0.28)
        out.append("DISTINCT " if not grouped and not scalar and self.odds(0.12) else "")
        n_items = n_items or rng.choice((1, 1, 2, 2, 3, 4))
        for i in range(n_items):
            out.append(", " if i else "")
            if (
                scalar
                or (not grouped and n_items == 1 and self.odds(0.25))
                or (grouped and i and self.odds(0.75))
            ):
                self.aggregate(scope, depth)
            elif not depth and i and self.odds(0.10 * self.richness):
                self.window(scope)
            elif n_items == 1 and self.odds(0.06) and not depth:
                out.append("*")
                continue
            else:
                self.term(scope, depth + 1)
            if not depth and n_items > 1 and self.odds(0.25):
                out.append(" AS ")
                self.slot("alias")
        self.tables(scope, depth)
        if self.odds(0.68):
            out.append(" WHERE ")
            self.conditions(scope, depth)
        if grouped:
            out.append(" GROUP BY ")
            self.column(scope)
            if self.odds(0.2):
                out.append(", ")
                self.column(scope)
            if self.odds(0.3):
                out.append(" HAVING ")
                self.aggregate(scope, depth)
                out.append(rng.choice((" > ", " >= ", " < ", " = ")))
                self.slot("small")
        if not depth and self.odds(0.3):
            out.append(" ORDER BY ")
            if grouped and self.odds(0.6):
                self.aggregate(scope, depth)
            else:
                self.column(scope)
            out.append(rng.choice(("", " DESC", " DESC", " ASC")))
            if self.odds(0.15):
                out.append(", ")
                self.column(scope)
            if self.odds(0.65):
                out.append(" LIMIT ")
                self.slot("small")

    def tables(self, scope: list[int], depth: int) -> None:
        rng, out = self.rng, self.out
        out.append(" FROM ")
        for i, table in enumerate(scope):
            if i:
                out.append(rng.choice((" JOIN ", " JOIN ", " INNER JOIN ", " LEFT JOIN ")))
            elif not depth and self.odds(0.05 * self.richness):
                out.append("(")
                self.select(depth + 1, n_items=2)
                out.append(") ")
                out.append(f"AS T{table + 1}" if self.style == "numbered" else "")
                if self.style != "numbered":
                    self.slot("table", table)
                self.complexity += 2
                continue
            self.slot("table", table)
            if self.style == "numbered" and (len(scope) > 1 or depth):
                out.append(f" AS T{table + 1}")
            if i:
                out.append(" ON ")
                for j, side in enumerate((scope[i - 1], table)):
                    out.append(" = " if j else "")
                    if self.style == "numbered":
                        out.append(f"T{side + 1}.")
                    else:
                        self.slot("table", side)
                        out.append(".")
                    self.slot("column", side, 0)

    def with_tables(self) -> None:
        self.out.append("WITH ")
        for i in range(self.rng.choice((1, 1, 2))):
            self.out.append(", " if i else "")
            self.slot("alias")
            self.out.append(" AS (")
            self.select(1, n_items=self.rng.choice((1, 2, 2, 3)))
            self.out.append(")")
        self.out.append(" ")
        self.select(0)
        self.complexity += 3

    def change(self) -> None:
        rng, out = self.rng, self.out
        self.n_tables += 1
        self.style = "bare"
        verb = rng.choice(("INSERT INTO ", "UPDATE ", "DELETE FROM "))
        out.append(verb)
        self.slot("table", 0)
        n = rng.randint(1, 5)
        if verb == "INSERT INTO ":
            for opening in (" (", ") VALUES ("):
                out.append(opening)
                for i in range(n):
                    out.append(", " if i else "")
                    self.constant() if opening != " (" else self.slot("column", 0, i)
            out.append(")")
            return
        if verb == "UPDATE ":
            out.append(" SET ")
            for i in range(rng.choice((1, 1, 2))):
                out.append(", " if i else "")
                self.slot("column", 0, i + 1)
                out.append(" = ")
                self.constant()
        out.append(" WHERE ")
        self.conditions([0], 1)


_FUNCTIONS: Final = (
    ("UPPER", 0),
    ("LENGTH", 0),
    ("ABS", 0),
    ("ROUND", 1),
    ("COALESCE", 1),
    ("SUBSTR", 2),
    ("STRFTIME", 1),
    ("TRIM", 0),
    ("NULLIF", 1),
    ("IFNULL", 1),
)


class Mixture(NamedTuple):
    """The composition of a corpus.

    Attributes:
        shares: The shares of queries whose sketches come from each infinite list. Corpora with a
            common list have templates in common.
        richness: The length and nesting of queries, from 0 to 1.
        broken: The share of queries that are truncated.
        repeated: The share of queries that repeat an earlier one.
    """

    shares: tuple[tuple[str, float], ...] = (("common", 1.0),)
    richness: float = 0.6
    broken: float = 0.004
    repeated: float = 0.02


_DEFAULT_MIXTURE: Final = Mixture()


@lru_cache(maxsize=20_000)
def sketch(family: str, number: int, richness: float) -> Sketch:
    """Return a sketch of a family by its number; low numbers are frequent, and shorter."""
    richness *= 0.25 + 0.75 * number / (number + 30)
    return _Writer(Random(f"{SEED} {family} {number}"), richness).sketch()


def rows(n_queries: int, seed: str, mixture: Mixture) -> Iterator[tuple[str, Sketch, Database]]:
    """Yield the queries of a corpus."""
    families = [family for family, _ in mixture.shares]
    ends = list(accumulate(share for _, share in mixture.shares))
    rng = Random(f"{SEED} {seed}")
    random = rng.random
    recent: list[tuple[str, Sketch, Database]] = []
    for _ in range(n_queries):
        if recent and random() < mixture.repeated:
            yield recent[int(random() * len(recent))]
            continue
        family = families[min(bisect(ends, random() * ends[-1]), len(families) - 1)]
        number = int(HEAD * ((1.0 - random()) ** (-1.0 / (POWER - 1.0)) - 1.0))
        drawn = sketch(family, number, mixture.richness)
        home = database(int(random() * N_DATABASES))
        text = fill(drawn, home, rng)
        if random() < mixture.broken:
            text = text[: int(len(text) * random())]
        row = (text, drawn, home)
        if len(recent) < 1000:
            recent.append(row)
        else:
            recent[int(random() * 1000)] = row
        yield row


def fill(drawn: Sketch, home: Database, rng: Random) -> str:
    """Return the sketch as SQL on one database."""
    random = rng.random
    tables = home.tables
    first, step = int(random() * len(tables)), 1 + int(random() * 2)
    turn = int(random() * 8)
    values = []
    for kind, table, column in drawn.slots:
        if kind == "column":
            columns = tables[(first + table * step) % len(tables)].columns
            values.append(columns[(column + turn) % len(columns)] if column else columns[0])
        elif kind == "table":
            values.append(tables[(first + table * step) % len(tables)].name)
        elif kind == "number":
            values.append(str(int(random() ** 3 * 20_000)))
        elif kind == "small":
            values.append(str(1 + int(random() * 10)))
        elif kind == "date":
            year, month, day = 1990 + int(random() * 36), 1 + random() * 12, 1 + random() * 28
            values.append(f"'{year}-{int(month):02}-{int(day):02}'")
        else:
            word = _WORDS[int(random() * len(_WORDS))]
            if kind == "word":
                values.append(f"'{word} {_THINGS[int(random() * len(_THINGS))]}'")
            else:
                values.append(f"'%{word}%'" if kind == "like" else f"{word}_{turn}")
    return drawn.pattern % tuple(values)


_COMPLEXITIES: Final = (
    ("basic SQL", "one table and plain conditions"),
    ("single join", "two tables"),
    ("multiple_joins", "several tables"),
    ("subqueries", "queries inside queries, or windows"),
)
_TASKS: Final = (
    ("data retrieval", "rows that meet a condition"),
    ("data manipulation", "rows added, changed or removed"),
)


def write_corpus(
    path: Path, n_queries: int, seed: str = "0", mixture: Mixture = _DEFAULT_MIXTURE
) -> None:
    """Write a corpus into one Parquet file, row group by row group."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.part")
    source = rows(n_queries, seed, mixture)
    with pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
        for start in range(0, n_queries, ROWS_PER_GROUP):
            size = min(ROWS_PER_GROUP, n_queries - start)
            group = [next(source) for _ in range(size)]
            complexities = [_COMPLEXITIES[min(drawn.complexity, 3)] for _, drawn, _ in group]
            tasks = [_TASKS[drawn.pattern[0] in "IUD"] for _, drawn, _ in group]
            names = [home.name for _, _, home in group]
            columns = [
                list(range(start + 1, start + size + 1)),
                names,
                [f"The books of {name}." for name in names],
                [name for name, _ in complexities],
                [description for _, description in complexities],
                [name for name, _ in tasks],
                [description for _, description in tasks],
                [f"Question {start + i} about {name}?" for i, name in enumerate(names)],
                [home.context for _, _, home in group],
                [text for text, _, _ in group],
                [f"Made from {drawn.n_tables} tables." for _, drawn, _ in group],
            ]
            writer.write_table(pa.table(columns, schema=SCHEMA))
    temporary.replace(path)


def write_log(path: Path, n_rows: int, n_distinct: int) -> None:
    """Write a query log into one Parquet file.

    Row ``i`` has the query number ``n_distinct * u ** 3``, where ``u`` is a hash of ``i`` between 0
    and 1. So one query in a hundred is a fifth of the log, and most are rare.
    """
    distinct: dict[str, str] = {}  # the database of each text
    for text, _, home in rows(2 * n_distinct, "log", _DEFAULT_MIXTURE):
        distinct.setdefault(text, home.name)
        if len(distinct) == n_distinct:
            break
    texts = pa.table({"statement": list(distinct), "db": list(distinct.values())})
    temporary = path.with_name(f"{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as con:
        con.execute("set enable_progress_bar = false")
        con.register("texts", texts)
        con.execute("create table numbered as select row_number() over () - 1 as i, * from texts")
        con.execute(
            "copy (select statement, db from range($n_rows) as drawn(n) join numbered on i = "
            "floor($n_distinct * pow((n * 2654435761 % 4294967296) / 4294967296, 3))::bigint) "
            f"to '{temporary}' (format parquet, compression zstd)",
            {"n_rows": n_rows, "n_distinct": n_distinct},
        )
    temporary.replace(path)


def mixture_of(number: int) -> Mixture:
    """Return the mixture of one of many corpora: common sketches, those of a group, and its own."""
    rng = Random(f"{SEED} mixture {number}")
    common, group = 0.3 + 0.5 * rng.random(), 0.1 + 0.3 * rng.random()
    shares = (("common", common), (f"group-{number % 8}", group), (f"own-{number}", 0.15))
    return Mixture(shares, rng.choice((0.15, 0.3, 0.45, 0.6)))


def write_many(folder: Path, n_corpora: int, n_queries: int, n_targets: int = 0) -> Path:
    """Write many corpora with their corpora file.

    Args:
        folder: The folder for all files.
        n_corpora: The number of corpora.
        n_queries: The number of queries in each.
        n_targets: The number of targets; a tenth of the corpora if 0.

    Returns:
        The corpora file.
    """
    for number in range(n_corpora):
        write_corpus(
            folder / f"corpus-{number:03}.parquet", n_queries, f"many {number}", mixture_of(number)
        )
    names = [f"corpus-{number:03}" for number in range(n_corpora)]
    return write_corpora_file(folder / "corpora.toml", names, n_targets or -(-n_corpora // 10))


def write_corpora_file(path: Path, names: list[str], n_targets: int) -> Path:
    """Write a corpora file for Parquet files beside it; the first ``n_targets`` are targets."""
    path.write_text(
        "\n".join(
            f'[[corpus]]\nname = "{name}"\nrole = "{"target" if i < n_targets else "train"}"\n'
            f'format = "gretel"\ndialect = "sqlite"\npath = "{name}.parquet"\n'
            for i, name in enumerate(names)
        ),
        encoding="utf-8",
    )
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("one", help="one corpus")
    one.add_argument("file", type=Path)
    one.add_argument("--queries", type=int, required=True)
    one.add_argument("--seed", default="0")
    many = commands.add_parser("many", help="many corpora, with a corpora file")
    many.add_argument("folder", type=Path)
    many.add_argument("--corpora", type=int, default=200)
    many.add_argument("--queries", type=int, default=5000)
    arguments = parser.parse_args()
    if arguments.command == "one":
        write_corpus(arguments.file, arguments.queries, arguments.seed)
    else:
        write_many(arguments.folder, arguments.corpora, arguments.queries)


if __name__ == "__main__":
    main()
