"""Facts about stage files are computed once, and again if they are damaged."""

from nl2sql_align.tasks.warehouse.facts import recall, remove_unused_facts
from nl2sql_align.tasks.warehouse.folder import Warehouse, stage_key


def test_a_fact_is_computed_once_and_goes_with_its_file(tmp_path):
    warehouse = Warehouse(tmp_path)
    file = warehouse.queries_file(stage_key(name="one"))
    file.parent.mkdir(parents=True)
    file.write_text("three words here")
    asked = []

    def count_words(path):
        asked.append(path)
        return {"n": len(path.read_text().split())}

    for _ in range(2):
        assert recall(warehouse, "words", file, count_words) == {"n": 3}
    assert asked == [file]
    [fact] = warehouse.facts.iterdir()
    for damaged in (fact.read_text().replace("3", "4", 1), "[]", "{", ""):
        fact.write_text(damaged)
        assert recall(warehouse, "words", file, count_words) == {"n": 3}
    assert len(asked) == 5
    recall(warehouse, "words", file, count_words, holds=lambda value: value["n"] == 3)
    assert len(asked) == 5
    recall(warehouse, "words", file, count_words, holds=lambda value: value["n"] > 3)
    assert len(asked) == 6
    (warehouse.facts / "notes.json").write_text("of a user")
    remove_unused_facts(warehouse, {file})
    assert len([*warehouse.facts.iterdir()]) == 2
    remove_unused_facts(warehouse, set())
    assert [path.name for path in warehouse.facts.iterdir()] == ["notes.json"]
