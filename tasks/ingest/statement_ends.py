"""Where a statement ends and talk about it begins.

The functions look at words and quotes only. They take linear time, because they look
only a bounded length around each line.
"""

import re
from typing import Final

from nl2sql_align.tasks.ingest.statements import END_MARK, SQL_WORDS, Scan

# The tokens with which models end a turn, or start and end parts of it.
SPECIAL_TOKEN: Final = (
    r"(?:<\|[^|<>\n]{1,40}\|>|</?s>|<(?:bos|eos|pad|unk|EOT|EOS|EOD|seed:[eb]os|extra_id_\d{1,3})>"
    r"|<end_of_(?:turn|text|sentence)>|<\|(?:turn|channel|tool_call)>|<(?:turn|channel|tool_call)\|>)"
)
# Text that only follows a statement: end marks, headings, and sentences on a line of their own.
_NEVER_SQL: Final = re.compile(
    rf"{SPECIAL_TOKEN}|<start_of_turn>|\[/?INST\]|{END_MARK}"
    r"|\[/(?:SQL|ANSWER|QUERY)\]|\]\]>(?=\s{0,20}(?:</|\Z))"
    r"|```|\\end\{|\\\]|\#\#\#|</[A-Za-z][\w:-]{0,40}>|<(?:sql|answer|query)>"
    r"|\(?\b(?:Comments?|Explanation|Notes?|Answer|Question|Output|Response|Results?|SQLResults?|SQL"
    r"|Human|User|Assistant|Observation|Final[ ]Answer)\s{0,20}(?::(?=\s|$)|\uff1a)"
    r"|\n[ \t]*(?:This\ (?:query|SQL|will|statement)|The\ (?:query|above|SQL)|Here(?:'s|\ is|,)"
    r"|Note\ that|In\ this|Explanation\b|I\ hope|Please\ |Let\ me"
    r"|Alternatively\b|However,|Or,?\ if|We\ )",
    re.VERBOSE,
)
_PARAGRAPH: Final = re.compile(r"\n[ \t]*\n[ \t]*([A-Z][a-z]+(?:'[a-z]+)?)[ ,:]")
_LINE: Final = re.compile(r"\n(?P<blank>[ \t\r]*\n)?[ \t\r]*(?=\S)")
_SENTENCE_BREAK: Final = re.compile(r"[.!]\s+(?=[A-Z])")
_FOREIGN_LETTER: Final = (
    r"\u0370-\u1dff\u1f00-\u1fff\u2e80-\u2fff\u3005-\u3007\u3040-\ud7ff\uf900-\ufaff\ufb1d-\ufdff"
    r"\ufe70-\ufefc\uff66-\uffdc"
)
_FOREIGN_REMARK: Final = re.compile(
    rf"[\uff08(\[\u3010\u300c\u300e\u203b\u3014]?[{_FOREIGN_LETTER}]"
)
_FOREIGN_SENTENCE: Final = re.compile(
    r"[^\n]{0,400}?[\u3002\uff0c\uff1a\uff1b\uff1f\uff01\u3001\u060c\u061f\u0964.:!]"
)
# Without punctuation, some words or a long one: an alias is shorter.
_FOREIGN_WORDS: Final = re.compile(
    rf"[{_FOREIGN_LETTER}]{{6}}|[{_FOREIGN_LETTER}]+(?:[ \t]+[{_FOREIGN_LETTER}]+){{2}}"
)
_MARKDOWN: Final = re.compile(
    r"\*{2,3}\s?[^\W\d_]|__[^\W\d_]|\#{2,6}[ \t]|={3,}|\+-{3,}|\|[ \t][^\n|]*\|"
)
_HEADING: Final = re.compile(r"\#[ \t]+[^\W\d_]")
_LIST_ITEM: Final = re.compile(r"(?:[-*\u2022]|\d{1,2}[.)])[ \t]+\S")
# Another query is offered: "or", "Or alternatively:".
_ALTERNATIVE: Final = re.compile(
    r"or(?:,?[ \t]{1,9}[a-z]{1,20}){0,4},?[ \t]{0,9}:?[ \t]{0,9}\r?\n\s{0,50}"
    r"(?:```\w{0,20}\s{0,9})?(?:SELECT|WITH)\b",
    re.IGNORECASE,
)
_LABEL: Final = re.compile(r"(?P<word>[a-z]{3,30}|[A-Z][a-z]{1,30}):\s")
_WORD: Final = r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?"
_WORDS: Final = re.compile(rf"{_WORD}(?:[ \t]+{_WORD}){{0,3}}")
_FULL_STOP: Final = re.compile(r"(?:(?<=[^\W\d])\.|(?<=[)\]'\"`])\.|\u3002)\s*\Z")
_MAX_GAP: Final = 200
_LAST_NAME: Final = re.compile(r"(?<!\w)\w+\Z")
_MAX_NAME: Final = 200
# Dialects in which a line may be a comment that starts with a number sign.
_NUMBER_SIGN_DIALECTS: Final = frozenset("mysql bigquery doris starrocks singlestore".split())
_REMARK_WORDS: Final = frozenset(
    "this these that those the it its it's there here here's note notes explanation you we i if "
    "let please however alternatively finally hope remember since because so but".split()
)
_MORE_SQL_WORDS: Final = frozenset(
    "BEGIN DECLARE IF WHILE RETURN RETURNS RETURNING LANGUAGE EXEC EXECUTE PRINT GO COMMIT LOOP "
    "FOR CALL GRANT REVOKE PRIMARY FOREIGN CONSTRAINT REFERENCES UNIQUE CHECK DEFAULT INDEX KEY "
    "ENGINE PARTITIONED STORED LOCATION COMMENT ROW ROWS FIELDS LINES CLUSTER DISTRIBUTE SORT ADD "
    "RENAME COLUMN TO WITHOUT TABLESPACE CONFLICT DO NOTHING ASC DESC NULLS FIRST LAST FILTER "
    "WITHIN LATERAL UNNEST PIVOT UNPIVOT TABLESAMPLE START CONNECT PRIOR OPTION MERGE MATCHED "
    "TRUNCATE REPLACE COLLATE ESCAPE INTERVAL ONLY TIES PERCENT TOP SEMI ANTI ASOF PREWHERE "
    "SETTINGS FORMAT ROLLUP CUBE GROUPING SETS".split()
)


def find_end(text: str, dialect: str | None) -> int:
    """Return where a text that starts with a statement stops being SQL."""
    scan = Scan(text, dialect)
    ends = [len(text)]
    for match in _NEVER_SQL.finditer(text):
        if match.start() > 0 and not scan.is_quoted(match.start()):
            ends.append(match.start())
            break
    for match in _PARAGRAPH.finditer(text):
        if match[1].upper() not in SQL_WORDS and not scan.is_quoted(match.start()):
            ends.append(match.start())
            break
    for match in _LINE.finditer(text, 0, min(ends)):
        if _is_remark(text, match, scan, dialect):
            ends.append(match.start())
            break
    for match in _SENTENCE_BREAK.finditer(text, 0, min(ends)):
        words = _list_words(text, match.end())
        is_remark = len(words) > 1 and words[0].lower() in _REMARK_WORDS
        if is_remark and not scan.is_quoted(match.start()) and not scan.find_depth(match.start()):
            ends.append(match.start())
            break
    full_stop = _FULL_STOP.search(text, max(0, min(ends) - _MAX_GAP), min(ends))
    if full_stop is None or _is_cut_name(text, full_stop.start()):
        return min(ends)
    return full_stop.start()


def _is_cut_name(text: str, stop: int) -> bool:
    """Return whether the text is cut after a table and a period, as in ``a.b = c.``."""
    match = _LAST_NAME.search(text, max(0, stop - _MAX_NAME), stop)
    return match is not None and re.search(rf"\b{match[0]}\.\w", text[:stop]) is not None


def _is_remark(text: str, line: re.Match[str], scan: Scan, dialect: str | None) -> bool:
    """Return whether a line after a complete statement is talk about it."""
    position = line.end()
    is_outside = not scan.is_quoted(line.start()) and not scan.is_quoted(position)
    if not is_outside or scan.find_depth(position) > 0 or not scan.is_complete(line.start()):
        return False
    if _MARKDOWN.match(text, position):
        return True
    if _HEADING.match(text, position):
        return dialect is not None and dialect not in _NUMBER_SIGN_DIALECTS
    if _ALTERNATIVE.match(text, position):
        return True
    if line["blank"] and _LIST_ITEM.match(text, position):
        return True
    if _FOREIGN_REMARK.match(text, position):
        if line["blank"] or _FOREIGN_SENTENCE.match(text, position) is not None:
            return True
        has_source = scan.first_source is not None and scan.first_source < position
        return has_source and _FOREIGN_WORDS.match(text, position) is not None
    if scan.first_source is None or scan.first_source > position:
        # A select list may go on: after SELECT TOP 10, a column may be on a line of its own.
        return False
    if (label := _LABEL.match(text, position)) is not None:
        is_first_key = text.endswith("{", 0, line.start())  # of a struct
        word = label["word"]
        is_sql = word.islower() and word.upper() in SQL_WORDS | _MORE_SQL_WORDS
        return not is_first_key and not is_sql
    return _is_sentence(text, position, line["blank"] is not None)


def _list_words(text: str, position: int) -> list[str]:
    match = _WORDS.match(text, position, position + _MAX_SENTENCE_START)
    return match[0].split() if match else []


_MAX_SENTENCE_START: Final = 200


def _is_sentence(text: str, position: int, is_paragraph: bool) -> bool:
    """Return whether a sentence starts at a position, where a clause of SQL might go on."""
    words = _list_words(text, position)
    if not words:
        return False
    first = words[0]
    upper = [word.upper() for word in words]
    if first.lower() in _REMARK_WORDS and first.upper() != "IF" and len(words) > 1:
        return first[0].isupper() or is_paragraph
    if upper[0] in SQL_WORDS | _MORE_SQL_WORDS:
        return False
    if first[0].isupper() and (len(first) == 1 or not first.isupper()):
        if len(words) == 1:
            after = position + len(first)
            return text[after : after + 1] in (":", "\uff1a")
        return upper[1] not in SQL_WORDS | _MORE_SQL_WORDS and words[1].islower()
    return is_paragraph and len(words) >= 3 and not SQL_WORDS.intersection(upper[:3])
