"""Tests of whether a text is SQL or prose, by its words alone."""

import re
from typing import Final

from nl2sql_align.tasks.ingest.statements import classify_statement, find_first_word, skip_leading

_MAX_CHARACTERS: Final = 4000
# Three other words in a row, without a comma or an operator between them, are prose: SQL has at
# most two, a name and its alias.
_PROSE_RUN: Final = 3
_LEXEME: Final = re.compile(
    r"""'[^']*+'?|"[^"]*+"?|`[^`]*+`?|\[[^\]]*+\]?|--[^\n]*+|/\*|[^\W\d]\w*+|\d+|[^\s\w]"""
)
_VALUE: Final = re.compile(r"""[\d'"`*()=+@$_]""")
_FORMULA: Final = re.compile(r"[=*]")
# A variable of a program.
_ASSIGNMENT: Final = re.compile(r"\w+\s*[=,]")
_ENDS_LIKE_A_SENTENCE: Final = re.compile(r"\w[?!.]+\s*\Z")
_CTE: Final = re.compile(r"\bAS\s*(?:(?:NOT\s+)?MATERIALIZED\s*)?\(|\bXMLNAMESPACES\b", re.I)
_PROSE_WORDS: Final = frozenset("the whose which how many please me their were are was".split())
_SUBJECTS: Final = {
    "ALTER": r"(?:\w+\s+){0,4}(?:TABLE|VIEW|INDEX|SCHEMA|DATABASE|FUNCTION|PROCEDURE|SEQUENCE|TYPE"
    r"|USER|ROLE|COLUMN|TRIGGER|SESSION|SYSTEM)\b",
    "CREATE": r"(?:\w+\s+){0,4}(?:TABLE|VIEW|INDEX|SCHEMA|DATABASE|FUNCTION|PROCEDURE|SEQUENCE|TYPE"
    r"|USER|ROLE|TRIGGER|EXTENSION|MACRO)\b",
    "DELETE": r"(?:FROM\b|\w+(?:\.\w+)*\s+(?:FROM|WHERE)\b)",
    "DROP": r"(?:TABLE|VIEW|MATERIALIZED|INDEX|SCHEMA|DATABASE|FUNCTION|PROCEDURE|SEQUENCE|TYPE"
    r"|USER|ROLE|TRIGGER|EXTENSION)\b",
    "INSERT": r"(?:INTO|OR|OVERWRITE|IGNORE)\b",
    "MERGE": r"INTO\b",
    "REPLACE": r"INTO\b",
    "TABLE": r"\S+\s*;?\s*\Z",
    "TRUNCATE": r"(?:TABLE\b|\S+\s*;?\s*\Z)",
    "UPDATE": r"[\s\S]{1,300}?\bSET\b",
    "VALUES": r"\(",
}
_SUBJECT: Final = {
    word: re.compile(rf"{word}\s*{subject}", re.IGNORECASE) for word, subject in _SUBJECTS.items()
}
_KEYWORDS: Final = frozenset(
    "ADD ALL AND ANTI ANY APPLY ARRAY AS ASC ASOF AT BETWEEN BY CASE CAST COLLATE CONFLICT "
    "CROSS CURRENT CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP DATE DAY DEFAULT DELETE DESC "
    "DISTINCT DIV DO DUPLICATE ELSE END ESCAPE EXCEPT EXCLUDE EXISTS EXPLAIN FALSE FETCH FILTER "
    "FINAL FIRST FOLLOWING FOR FROM FULL GLOB GROUP HAVING HOUR IF IGNORE ILIKE IN INDEX INNER "
    "INSERT INTERSECT INTERVAL INTO IS ISNULL JOIN KEY LAST LATERAL LEFT LIKE LIMIT LOCAL MATCH "
    "MATERIALIZED MINUS MINUTE MOD MONTH NATURAL NEXT NOT NOTHING NOTNULL NULL NULLS "
    "OFFSET ON ONLY OR ORDER ORDINALITY OUTER OVER OVERLAPS PARTITION PERCENT PIVOT PRECEDING "
    "QUALIFY RANGE RECURSIVE REGEXP REPLACE RETURNING RIGHT RLIKE ROW ROWS SAMPLE SECOND SELECT "
    "SEMI SEPARATOR SET SIMILAR SOME STRAIGHT_JOIN TABLE TABLESAMPLE THEN TIES TIME TIMESTAMP "
    "TOP TRUE UNBOUNDED UNION UNIQUE UNKNOWN UNPIVOT UPDATE USING VALUES WHEN WHERE WINDOW "
    "WITH WITHIN WITHOUT XOR YEAR ZONE".split()
)


def looks_like_sql(text: str, max_characters: int = _MAX_CHARACTERS) -> bool:
    """Return whether a text starts like a query, a DML or a DDL statement, and is not prose.

    A word in lower case that starts statements starts sentences too: "Select the names of all
    boats" is a question. Prose is recognized by its words, without parsing.
    """
    start = skip_leading(text)
    text = text[start : start + max_characters]
    if classify_statement(text) is None or len(text.split(None, 1)) < 2:
        return False
    word = find_first_word(text)
    if word == "COMMENT" or _ASSIGNMENT.match(text):
        return False
    if word in _SUBJECT and not _SUBJECT[word].match(text):
        return False
    # Sentences do not start with a word in capitals.
    return text.startswith(word) or not _is_prose(text, word)


def _is_prose(text: str, word: str) -> bool:
    if word == "WITH" and not _CTE.search(text):
        return True
    if _ENDS_LIKE_A_SENTENCE.search(text) and len(text) < _MAX_CHARACTERS:
        return True
    if word == "SELECT" and not _VALUE.search(text) and not re.search(r"\bFROM\b", text, re.I):
        return True
    if _FORMULA.search(text):  # names of several words, without quotes, are in some data sets
        return False
    run = depth = 0
    for match in _LEXEME.finditer(text):
        lexeme = match[0]
        if lexeme == "/*":
            return False  # a comment, which is never in a question, may be any prose
        if lexeme.startswith("--"):
            continue
        depth += (lexeme == "(") - (lexeme == ")")
        if lexeme in _PROSE_WORDS:
            return True
        is_word = lexeme[0].isalpha() and lexeme.upper() not in _KEYWORDS
        run = run + 1 if is_word else 0
        if run >= _PROSE_RUN and depth <= 0:
            return word in {"SELECT", "WITH", "FROM", "INSERT", "UPDATE", "DELETE"}
    return False
