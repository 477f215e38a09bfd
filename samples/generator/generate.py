"""Generator of the sample corpora: invented text-to-SQL dumps, and invented models' answers.

`schemas/*.toml` contains the databases; `recipes/*.toml`, the questions with their answers. To make
a question and its SQL, a recipe is bound to tables, columns and values of one database. A model's
answer has the same recipe and binding, written with the model's habits.

Patterns in the recipes contain placeholders, `{slot}` or `{slot.part}`:

* The slot `t` is any table, `p` a parent, `c` a child that links to it, and `m` a table that links
  to both `a` and `b`. `{k}` is a small number.
* `{t}` is the table. `{t@}` is the table in FROM, with its alias if it has one.
* `{t.one}` and `{t.many}` are words for its rows.
* `{t.key}`, `{t.label}`, `{c.p}` (the link), `{t.g1}` (a group), `{t.n1}` (a number), `{t.y1}` (a
  year) and `{t.d1}` (a date) are columns: names in SQL, words in questions. `{t@key}` is qualified.
* `{t.g1=}` and `{t.g1=2}` are values of a column; the second one is larger. `{t.label+}` is the
  plural of its word, `{t.label%}` a part of a value, `{t.d1y}` a date's year as text, `{t.d1y2}`
  a later one, and `{t.d1#}` a year as a number.

Run it as `python samples/generator/generate.py [FOLDER]`. The files are the same each time, byte
for byte (`synth-train.parquet` only with the same version of pyarrow).
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
SEED = "nl2sql-align samples 1"

PLACEHOLDER = re.compile(
    r"\{(?P<slot>[a-z])(?:(?P<mark>[.@])(?P<part>[a-z]*\d?)(?P<form>y?[=%+#]?)(?P<which>2?))?\}"
)
WORDS = ("one", "many")
ROLE_OF_PART = {"g": "group", "n": "number", "y": "year", "d": "date"}


@dataclass(frozen=True)
class Column:
    """A column: its role, its word in questions, and its values or their range."""

    name: str
    role: str
    phrase: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Table:
    """A table and the words for one and for several of its rows."""

    name: str
    one: str
    many: str
    columns: tuple[Column, ...]

    def with_role(self, role: str) -> list[Column]:
        """Return the columns with this role, in the table's order."""
        return [column for column in self.columns if column.role == role]

    def link_to(self, other: Table) -> Column | None:
        """Return the column that links to the other table, if any."""
        return next((c for c in self.with_role("link") if c.values == (other.name,)), None)


@dataclass(frozen=True)
class Database:
    """A database: its name (`db_id`), its subject and its tables."""

    name: str
    about: str
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class Recipe:
    """Several wordings of one question, with several answers."""

    name: str
    ask: tuple[str, ...]
    sql: tuple[str, ...]
    alt: tuple[str, ...]
    paired: bool  # whether ask[i] is answered by sql[i] only
    weights: tuple[int, ...]  # one for each corpus with this recipe
    notes: Mapping[str, str]
    needs: Mapping[str, frozenset[str]] = field(compare=False)  # slot -> parts


@dataclass(frozen=True)
class Binding:
    """The values of a recipe's placeholders in one question."""

    tables: Mapping[str, Table]
    columns: Mapping[tuple[str, str], Column]  # (slot, part)
    values: Mapping[tuple[str, str], tuple[Any, Any]]
    k: int


@dataclass(frozen=True)
class Style:
    """A way of writing SQL. Each number is the share of queries that show a habit."""

    quotes: tuple[str, ...] = ("",)  # around names
    qualifiers: tuple[str, ...] = ("T",)  # T: T1, T2; initial: first letters; table: no aliases
    literal_quotes: tuple[str, ...] = ("'",)
    upper_functions: float = 1.0
    alt: float = 0.0  # a pattern from the recipe's alt
    inner: float = 0.0  # INNER JOIN for JOIN
    ascending: float = 0.0  # an explicit ASC
    distinct: float = 0.0  # an unneeded DISTINCT
    cast: float = 0.0  # a CAST inside AVG and SUM
    wrap: float = 0.0  # an unneeded SELECT * FROM (...)
    semicolon: float = 0.0
    comment: float = 0.0  # a comment after the semicolon
    slip: float = 0.0  # wrong columns or values
    wrong: float = 0.0  # the answer to another question


@dataclass(frozen=True)
class Row:
    """A question and the SQL that answers it."""

    database: Database
    recipe: Recipe
    binding: Binding
    question: str
    sql: str


ANNOTATORS = Style(literal_quotes=("'", "'", '"'), upper_functions=0.4)
OFFICE = Style(quotes=("", "", "`"))
GENERATED = Style(qualifiers=("table", "initial"))
SPRIG_BASE = Style(
    quotes=('"', '"', "`", ""),
    qualifiers=("table",),
    alt=0.45,
    inner=0.7,
    ascending=0.6,
    distinct=0.1,
    cast=0.3,
    wrap=0.05,
    semicolon=0.7,
    comment=0.08,
    slip=0.2,
    wrong=0.1,
)
SPRIG_TUNED = Style(alt=0.06, inner=0.03, semicolon=0.05, slip=0.12, wrong=0.1)
OAK_BASE = Style(
    qualifiers=("initial", "T"), alt=0.1, inner=0.05, semicolon=0.9, slip=0.08, wrong=0.03
)

UNFINISHED, TWO_STATEMENTS = "(unfinished)", "(two statements)"
CHATTER = "Sure! You can answer this by joining the two tables on their common column."
# The broken queries of each corpus, as in real dumps. Other texts are used literally.
BROKEN = {
    "harbour-train": (UNFINISHED, UNFINISHED, TWO_STATEMENTS, "a stray line of notes, not SQL"),
    "ledger-train": (UNFINISHED, UNFINISHED, TWO_STATEMENTS),
    "synth-train": (UNFINISHED, TWO_STATEMENTS, "error", "There is no table with these figures."),
    "orchard-dev": (UNFINISHED, TWO_STATEMENTS),
    "sprig-1b-base": (UNFINISHED, UNFINISHED, UNFINISHED, "error", "error", "", CHATTER),
    "sprig-1b-tuned": (UNFINISHED, "", "error"),
    "oak-7b-base": (TWO_STATEMENTS, CHATTER, UNFINISHED),
}
MODELS = {"sprig-1b-base": SPRIG_BASE, "sprig-1b-tuned": SPRIG_TUNED, "oak-7b-base": OAK_BASE}


def load_databases(path: Path) -> list[Database]:
    """Return the databases of a schema file, in its order."""
    databases = []
    for name, content in tomllib.loads(path.read_text("utf-8")).items():
        tables = []
        for table, columns in content.items():
            if isinstance(columns, str):
                continue
            one, many = columns.pop("words")
            read = tuple(read_column(*column) for column in columns.items())
            tables.append(Table(table, one, many, read))
        databases.append(Database(name, content.get("about", ""), tuple(tables)))
    return databases


def read_column(name: str, definition: Sequence[Any]) -> Column:
    """Return the column defined by `[role, phrase, values...]`; keys and links have no phrase."""
    role, *rest = definition
    if role in ("key", "link"):
        return Column(name, role, name.replace("_", " "), tuple(rest))
    return Column(name, role, rest[0], tuple(rest[1:]))


def load_recipes(path: Path) -> list[Recipe]:
    """Return the recipes of a file, in its order."""
    recipes = []
    for name, content in tomllib.loads(path.read_text("utf-8")).items():
        ask, sql, alt = (tuple(content.pop(key, ())) for key in ("ask", "sql", "alt"))
        weights = tuple(content.pop("weights", ())) or (content.pop("weight"),)
        paired = content.pop("paired", False)
        needs: dict[str, set[str]] = {}
        for found in PLACEHOLDER.finditer(" ".join((*ask, *sql, *alt, *content.values()))):
            if found["slot"] != "k":
                needs.setdefault(found["slot"], set()).add(found["part"] or "")
        parts = {slot: frozenset(found) - {"", *WORDS} for slot, found in needs.items()}
        recipes.append(Recipe(name, ask, sql, alt, paired, weights, content, parts))
    return recipes


def list_candidates(database: Database, recipe: Recipe) -> list[dict[str, Table]]:
    """Return all choices of tables for the recipe's slots."""
    tables = database.tables
    slots = set(recipe.needs)
    if slots == {"t"}:
        found = [{"t": table} for table in tables]
    elif slots == {"p", "c"}:
        found = [{"p": p, "c": c} for p in tables for c in tables if c.link_to(p)]
    else:
        found = [
            {"a": a, "m": m, "b": b}
            for m in tables
            for a in tables
            for b in tables
            if a != b and m.link_to(a) and m.link_to(b)
        ]
    return [each for each in found if all(has_columns(each[s], recipe.needs[s]) for s in slots)]


def has_columns(table: Table, parts: Iterable[str]) -> bool:
    """Return whether the table has the columns that a recipe needs, apart from links."""
    for part in parts:
        role = ROLE_OF_PART.get(part[0]) if part[-1].isdigit() else None
        if role is not None and len(table.with_role(role)) < int(part[-1]):
            return False
        if part in ("key", "label") and not table.with_role(part):
            return False
    return True


def bind_recipe(database: Database, recipe: Recipe, rng: Random) -> Binding | None:
    """Choose tables, columns and values for the recipe; return None if none are suitable."""
    choices = list_candidates(database, recipe)
    if not choices:
        return None
    tables = rng.choice(choices)
    columns: dict[tuple[str, str], Column] = {}
    values: dict[tuple[str, str], tuple[Any, Any]] = {}
    for slot, table in tables.items():
        shuffled = {
            letter: rng.sample(table.with_role(role), len(table.with_role(role)))
            for letter, role in ROLE_OF_PART.items()
        }
        for part in sorted(recipe.needs[slot]):
            if part in ("key", "label"):
                column = table.with_role(part)[0]
            elif part in tables:
                link = table.link_to(tables[part])
                assert link is not None
                column = link
            else:
                column = shuffled[part[0]][int(part[1:]) - 1]
            columns[slot, part] = column
            values[slot, part] = draw_values(column, rng)
    return Binding(tables, columns, values, rng.randint(2, 5))


def draw_values(column: Column, rng: Random) -> tuple[Any, Any]:
    """Return two different values of the column, the larger one last if they have an order."""
    if column.role in ("group", "label"):
        first, second = rng.sample(column.values, 2)
        return first, second
    if column.role in ("number", "year"):
        low, high = column.values
        middle = (low + high) // 2
        # People ask for round numbers.
        step = 100 if high - low > 2000 else 10 if high - low > 150 else 1
        first = rng.randint(low + 1, middle) // step * step
        return max(first, low), max(rng.randint(middle + 1, high) // step * step, first + step)
    if column.role == "date":
        low, high = column.values
        middle = (low + high) // 2
        years = rng.randint(low, middle), rng.randint(middle + 1, high)
        first, second = (f"{y}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}" for y in years)
        return first, second
    return "", ""


def make_plural(phrase: str) -> str:
    """Return the plural of a phrase; before a preposition, only the first noun changes."""
    head, preposition, rest = phrase, "", ""
    for word in (" of ", " in ", " from ", " over ", " on "):
        if word in phrase:
            head, preposition, rest = phrase.partition(word)
            break
    if head.endswith("y") and head[-2] not in "aeiou":
        head = head[:-1] + "ies"
    else:
        head += "es" if head.endswith(("s", "x", "ch", "sh")) else "s"
    return head + preposition + rest


def get_value(found: re.Match[str], binding: Binding) -> Any:
    """Return the value of a placeholder with a form such as `=` or `y`."""
    value = binding.values[found["slot"], found["part"]][1 if found["which"] else 0]
    if "y" in found["form"] or found["form"] == "#":
        value = str(value)[:4]
    return value


def fill_words(pattern: str, binding: Binding, *, names: bool = False) -> str:
    """Return the pattern as plain text, with words or column names in its placeholders."""

    def word(found: re.Match[str]) -> str:
        slot, part, form = found["slot"], found["part"], found["form"]
        if slot == "k":
            return str(binding.k)
        if part in WORDS:
            table = binding.tables[slot]
            return table.one if part == "one" else table.many
        if form == "%":
            return str(get_value(found, binding)).rsplit(" ", 1)[-1]
        if form in ("", "+"):
            column = binding.columns[slot, part]
            text = column.name if names else column.phrase
            return make_plural(text) if form else text
        return str(get_value(found, binding))

    text = PLACEHOLDER.sub(word, pattern)
    return re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)


def fill_sql(pattern: str, binding: Binding, style: Style, rng: Random) -> str:
    """Return the pattern as SQL, with names, aliases and literals in the style."""
    quote = rng.choice(style.quotes)
    qualifier = rng.choice(style.qualifiers)
    literal_quote = "'" if quote == '"' else rng.choice(style.literal_quotes)
    aliases = choose_aliases(pattern, binding, qualifier)

    def name(identifier: str) -> str:
        mark = quote or ("" if identifier.isidentifier() else "`")
        return mark + identifier + mark

    def literal(value: Any) -> str:
        if isinstance(value, int):
            return str(value)
        doubled = str(value).replace(literal_quote, literal_quote * 2)
        return f"{literal_quote}{doubled}{literal_quote}"

    def term(found: re.Match[str]) -> str:
        slot, mark, part, form = found.group("slot", "mark", "part", "form")
        if slot == "k":
            return str(binding.k)
        table = binding.tables[slot]
        if not part:
            is_declared = mark == "@" and qualifier != "table"
            return f"{name(table.name)} AS {aliases[slot]}" if is_declared else name(table.name)
        if form == "":
            column = name(binding.columns[slot, part].name)
            if mark == ".":
                return column
            return f"{name(table.name) if qualifier == 'table' else aliases[slot]}.{column}"
        value = get_value(found, binding)
        if form == "#":
            return str(value)
        if form == "y%":
            return literal(f"{value}%")
        if form == "%":
            return literal(f"%{value.rsplit(' ', 1)[-1]}%")
        return literal(value)

    return PLACEHOLDER.sub(term, pattern)


def choose_aliases(pattern: str, binding: Binding, qualifier: str) -> dict[str, str]:
    """Return an alias for each slot that the pattern declares, numbered in the order of FROM."""
    aliases: dict[str, str] = {}
    for slot in re.findall(r"\{([a-z])@\}", pattern):
        if slot not in aliases:
            table = binding.tables[slot].name.lower()
            short = table[0] if table[0] not in aliases.values() else table[:2]
            aliases[slot] = f"T{len(aliases) + 1}" if qualifier == "T" else short
    return aliases


def write_sql(
    patterns: Sequence[str], alt: Sequence[str], binding: Binding, style: Style, rng: Random
) -> str:
    """Write SQL from one of the patterns, or from the alternatives if the style prefers them."""
    is_alt = bool(alt) and rng.random() < style.alt
    sql = fill_sql(rng.choice(alt if is_alt else patterns), binding, style, rng)
    if rng.random() < style.inner:
        sql = re.sub(r"(?<!LEFT )(?<!INNER )JOIN", "INNER JOIN", sql)
    if rng.random() < style.ascending:
        sql = re.sub(r"(ORDER BY [\w.`\"]+)(?= LIMIT|$)", r"\1 ASC", sql)
    if rng.random() < style.distinct:
        sql = re.sub(r"^SELECT (?!DISTINCT)", "SELECT DISTINCT ", sql)
    if rng.random() < style.cast:
        sql = re.sub(r"(?i)\b(avg|sum)\(([\w.`\"]+)\)", r"\1(CAST(\2 AS REAL))", sql)
    if rng.random() < style.wrap:
        sql = f"SELECT * FROM ({sql}) AS result"
    is_upper = rng.random() < style.upper_functions
    sql = re.sub(r"\b(count|avg|sum|min|max)\(", lambda f: f[0].upper() if is_upper else f[0], sql)
    if rng.random() < style.semicolon and not sql.endswith(";"):
        sql += ";"
    if rng.random() < style.comment:
        sql = sql.removesuffix(";") + "; -- this lists what the question asks for"
    return sql


def draw_rows(
    seed: str,
    databases: Sequence[Database],
    recipes: Sequence[Recipe],
    n_rows: int,
    style: Style,
    *,
    weight: int = 0,
    twins: float = 0.0,
) -> list[Row]:
    """Return rows in equal numbers for each database, grouped by database.

    Args:
        seed: Seed of the random choices.
        databases: The sources of tables and values.
        recipes: The questions to choose from.
        n_rows: The number of rows.
        style: The style of the answers.
        weight: The index of the weight to use in each recipe.
        twins: The share of rows that are repeated with another wording of the question.
    """
    rows: list[Row] = []
    asked: set[str] = set()
    weights = [recipe.weights[weight] for recipe in recipes]
    for number, database in enumerate(databases, start=1):
        rng = Random(f"{SEED}/{seed}/{database.name}")
        end = n_rows * number // len(databases)
        while len(rows) < end:
            recipe = rng.choices(recipes, weights)[0]
            binding = bind_recipe(database, recipe, rng)
            if binding is None:
                continue
            index = rng.randrange(len(recipe.ask))
            patterns = recipe.sql[index : index + 1] if recipe.paired else recipe.sql
            sql = write_sql(patterns, (), binding, style, rng)
            indexes = [index]
            if len(recipe.ask) > 1 and not recipe.paired and rng.random() < twins:
                indexes.append((index + 1) % len(recipe.ask))
            for each in indexes:
                question = capitalise(fill_words(recipe.ask[each], binding))
                if question not in asked and len(rows) < end:
                    asked.add(question)
                    rows.append(Row(database, recipe, binding, question, sql))
    return rows


def capitalise(text: str) -> str:
    """Return the text with its first letter in upper case and the rest unchanged."""
    return text[:1].upper() + text[1:]


def answer_questions(
    rows: Sequence[Row], recipes: Sequence[Recipe], style: Style, seed: str
) -> list[str]:
    """Return a model's answers to the rows' questions, in their order."""
    answers = []
    for number, row in enumerate(rows):
        # A generator for each question, so that a changed habit does not affect other answers.
        rng = Random(f"{SEED}/{seed}/{number}")
        recipe, binding = row.recipe, row.binding
        if rng.random() < style.wrong:
            other = rng.choice(
                [each for each in recipes if each.needs.keys() == recipe.needs.keys()]
            )
            if bound := bind_recipe(row.database, other, rng):
                recipe, binding = other, bound
        elif rng.random() < style.slip:
            binding = bind_recipe(row.database, recipe, rng) or binding
        sql = write_sql(recipe.sql, recipe.alt, binding, style, rng)
        answers.append(sql.replace(" , ", ", "))
    return answers


def damage_queries(queries: Sequence[str], corpus: str) -> list[str]:
    """Return the queries of a corpus with those in BROKEN broken on purpose."""
    rng = Random(f"{SEED}/{corpus}/damage")
    kinds = BROKEN[corpus]
    damaged = list(queries)
    # Not at either end: an empty last line would not count as a line.
    for place, kind in zip(rng.sample(range(1, len(queries) - 1), len(kinds)), kinds, strict=True):
        sql = damaged[place].split(";")[0]
        if kind == UNFINISHED:
            ends = [found.end() for found in re.finditer(r"[(,=>]|\b(?:FROM|JOIN)\b", sql)]
            damaged[place] = sql[: rng.choice(ends[len(ends) // 2 :])]
        elif kind == TWO_STATEMENTS:
            damaged[place] = f"{sql}; {queries[place + 1]}"
        else:
            damaged[place] = kind
    return damaged


def write_json(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a JSON list with one row per line, so that differences are readable."""
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8", newline="\n")


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """Write one line per item."""
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def make_spider_rows(rows: Sequence[Row], queries: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows in Spider's layout, with these queries."""
    return [
        {"db_id": row.database.name, "query": query, "question": row.question}
        for row, query in zip(rows, queries, strict=True)
    ]


def make_bird_rows(rows: Sequence[Row], queries: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows in BIRD's layout, with these queries."""
    return [
        {
            "question_id": number,
            "db_id": row.database.name,
            "question": row.question,
            "evidence": fill_words(row.recipe.notes["evidence"], row.binding, names=True),
            "SQL": query,
            "difficulty": row.recipe.notes["level"],
        }
        for number, (row, query) in enumerate(zip(rows, queries, strict=True))
    ]


ABOUT_COMPLEXITY = {
    "basic SQL": "one table and plain conditions",
    "aggregation": "sums, counts or averages, by group",
    "single join": "two tables joined once",
    "subqueries": "a query inside another one",
    "window functions": "ranks, running sums or comparisons between rows",
    "set operations": "results of several queries combined",
    "CTEs": "named steps before the main query",
}
ABOUT_TASK = {
    "analytics and reporting": "figures for a report",
    "data retrieval": "rows that meet a condition",
    "data manipulation": "rows added, changed or removed",
    "data definition": "tables or views defined",
}


def make_gretel_table(rows: Sequence[Row], queries: Sequence[str]) -> pa.Table:
    """Return the rows as a table with the columns of Gretel's synthetic_text_to_sql."""
    columns: dict[str, list[Any]] = {}
    for number, (row, query) in enumerate(zip(rows, queries, strict=True), start=1):
        notes = row.recipe.notes
        record = {
            "id": number,
            "domain": row.database.name.replace("_", " "),
            "domain_description": row.database.about,
            "sql_complexity": notes["complexity"],
            "sql_complexity_description": ABOUT_COMPLEXITY[notes["complexity"]],
            "sql_task_type": notes["task"],
            "sql_task_type_description": ABOUT_TASK[notes["task"]],
            "sql_prompt": row.question,
            "sql_context": write_context(row.binding, Random(f"{SEED}/context/{number}")),
            "sql": query,
            "sql_explanation": fill_words(notes["explain"], row.binding),
        }
        for name, value in record.items():
            columns.setdefault(name, []).append(value)
    schema = pa.schema([(name, pa.int32() if name == "id" else pa.string()) for name in columns])
    return pa.table(columns, schema=schema)


def write_context(binding: Binding, rng: Random) -> str:
    """Write statements that create the binding's tables with a few rows each."""
    types = {"label": "TEXT", "group": "TEXT", "date": "DATE"}
    statements = []
    for table in binding.tables.values():
        defined = ", ".join(f"{c.name} {types.get(c.role, 'INT')}" for c in table.columns)
        listed = ", ".join(column.name for column in table.columns)
        rows = []
        for key in range(1, 4):
            drawn = [
                key
                if c.role == "key"
                else rng.randint(1, 3)
                if c.role == "link"
                else rng.choice(draw_values(c, rng))
                for c in table.columns
            ]
            cells = (
                str(v) if isinstance(v, int) else "'" + v.replace("'", "''") + "'" for v in drawn
            )
            rows.append(f"({', '.join(cells)})")
        statements.append(f"CREATE TABLE {table.name} ({defined});")
        statements.append(f"INSERT INTO {table.name} ({listed}) VALUES {', '.join(rows)};")
    return " ".join(statements)


def generate(folder: Path) -> None:
    """Write all sample corpora into the folder, and overwrite existing ones."""
    harbour, orchard, ledger, synth = (
        load_databases(HERE / "schemas" / f"{name}.toml")
        for name in ("harbour", "orchard", "ledger", "synth")
    )
    spider, bird, gretel = (
        load_recipes(HERE / "recipes" / f"{name}.toml") for name in ("spider", "bird", "gretel")
    )
    (folder / "predictions").mkdir(parents=True, exist_ok=True)

    rows = draw_rows("harbour", harbour, spider, 525, ANNOTATORS, weight=0, twins=0.4)
    queries = damage_queries([row.sql for row in rows], "harbour-train")
    write_json(folder / "harbour-train.json", make_spider_rows(rows, queries))

    rows = draw_rows("ledger", ledger, bird, 480, OFFICE)
    queries = damage_queries([row.sql for row in rows], "ledger-train")
    write_json(folder / "ledger-train.json", make_bird_rows(rows, queries))

    rows = draw_rows("synth", synth, gretel, 402, GENERATED)
    queries = damage_queries([row.sql for row in rows], "synth-train")
    pq.write_table(make_gretel_table(rows, queries), folder / "synth-train.parquet")

    rows = draw_rows("orchard", orchard, spider, 340, ANNOTATORS, weight=1, twins=0.4)
    queries = damage_queries([row.sql for row in rows], "orchard-dev")
    write_json(folder / "orchard-dev.json", make_spider_rows(rows, queries))

    for name, style in MODELS.items():
        answers = damage_queries(answer_questions(rows, spider, style, name), name)
        write_lines(folder / "predictions" / f"{name}.sql", answers)


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent)
