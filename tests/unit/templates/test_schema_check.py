"""Which names of a query its schema lacks."""

import pytest

from nl2sql_align.tasks.templates.schema_check import find_missing, read_ddl

SCHEMA = {"boats": frozenset({"id", "name"}), "crew": frozenset({"boat_id", "age"}), "seen": None}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT Name FROM Boats",
        "SELECT b.name FROM boats AS b JOIN crew ON b.id = crew.boat_id WHERE age > 3",
        'SELECT name FROM boats WHERE name = "Pier 4"',
        "WITH old AS (SELECT boat_id FROM crew) SELECT boat_id FROM old",
        "SELECT name FROM boats WHERE EXISTS (SELECT 1 FROM crew WHERE boat_id = boats.id)",
        "SELECT count(*) AS n FROM crew GROUP BY boat_id HAVING n > 1 ORDER BY n",
        "SELECT anything FROM seen",
        "SELECT rowid FROM boats UNION SELECT age FROM crew",
        "SELECT name FROM sqlite_master",
        "CREATE TABLE new (id int)",
    ],
)
def test_queries_without_a_fault(sql):
    assert find_missing(sql, "sqlite", SCHEMA) is None


@pytest.mark.parametrize(
    ("sql", "kind", "name"),
    [
        ("SELECT name FROM ships", "table", "ships"),
        ("DELETE FROM ships", "table", "ships"),
        ("SELECT name FROM boats WHERE id IN (SELECT id FROM Ships)", "table", "ships"),
        ("SELECT length FROM boats", "column", "length"),
        ("SELECT b.age FROM boats AS b JOIN crew ON b.id = boat_id", "column", "age"),
        ("SELECT T1.age FROM (SELECT age, boat_id FROM crew) AS t0, boats AS T1", "column", "age"),
    ],
)
def test_missing_names(sql, kind, name):
    assert find_missing(sql, "sqlite", SCHEMA) == (kind, name)


def test_queries_that_cannot_be_checked():
    for sql in (
        "SELECT FROM WHERE (",
        "SELECT " + "(" * 60 + "1" + ")" * 60,
        "SELECT " + "1+" * 5000 + "1",
    ):
        with pytest.raises(ValueError):
            find_missing(sql, "sqlite", SCHEMA)


def test_tables_of_a_script():
    boats = "CREATE TABLE Boats (Id INT, primary key (id)); INSERT INTO boats VALUES (1);"
    script = f"{boats} CREATE VIEW v AS SELECT 1"
    assert read_ddl(script, "sqlite") == {"boats": frozenset({"id"}), "v": None}
    assert read_ddl("CREATE TABLE (", "sqlite") == {}
