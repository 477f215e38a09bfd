"""The final answer in the output of a model: after its reasoning, in a tag, a tool call or a fence.

Each step takes a part of the text, and the next one looks at that part. They take linear time on
any text, because they look only a bounded length around each mark.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, NamedTuple

from nl2sql_align.tasks.ingest.statement_ends import SPECIAL_TOKEN
from nl2sql_align.tasks.ingest.statement_starts import (
    holds_statement,
    starts_with_statement,
)
from nl2sql_align.tasks.ingest.statements import Scan, find_first_word, skip_leading

Block = Literal["first", "last"]
"""Which of several candidates is the answer."""


class Part(NamedTuple):
    """A part of an answer, with the rules that found it."""

    text: str
    rules: tuple[str, ...] = ()


# ---- marks that are quoted ----------------------------------------------------------------------

_MENTION_REACH: Final = 300
_APOSTROPHE: Final = re.compile(r"(?<=\w)['\u2019](?=\w)")


def _is_mention(text: str, start: int, end: int) -> bool:
    """Return whether a mark is in a quote on its line, as in ``LIKE '%</think>%'``."""
    first = max(0, start - _MENTION_REACH)
    before = text[max(first, text.rfind("\n", first, start) + 1) : start].replace("```", "")
    for quote in "'\"" if text[start] == "`" else "'\"`":
        if quote not in before:
            continue
        if (_APOSTROPHE.sub("", before) if quote == "'" else before).count(quote) % 2 == 0:
            continue
        line_end = text.find("\n", end, end + _MENTION_REACH)
        last = line_end if line_end >= 0 else end + _MENTION_REACH
        closing = text.find(quote, end, last)
        following = text[closing + 1 : closing + 2]
        is_closed = closing >= 0 and not (following.isalnum() or following in ("_", "%"))
        # The quote may also close in the statement behind the reasoning: ...boats'</think>SELECT '
        is_end = text[start + 1 : start + 2] == "/"
        if is_closed and not (is_end and starts_with_statement(text[end : end + _MENTION_REACH])):
            return True
    return False


def _find_marks(pattern: re.Pattern[str], text: str) -> list[re.Match[str]]:
    """Return the matches of a pattern that are not quoted."""
    return [m for m in pattern.finditer(text) if not _is_mention(text, m.start(), m.end())]


def _find_marks_outside(pattern: re.Pattern[str], text: str) -> list[re.Match[str]]:
    """Return the matches that are not quoted, nor in a string of several lines of a statement."""
    marks = _find_marks(pattern, text)
    if not marks or not starts_with_statement(text):
        return marks
    scan = Scan(text, None)
    return [mark for mark in marks if not scan.is_quoted(mark.start())]


def _choose(texts: Sequence[str], which: Block, test: Callable[[str], bool]) -> str | None:
    ordered = texts if which == "first" else reversed(texts)
    return next((text for text in ordered if test(text)), None)


# ---- turns of a conversation --------------------------------------------------------------------

_SPECIAL: Final = re.compile(
    rf"{SPECIAL_TOKEN}|<\uff5c[^\uff5c<>\n]{{1,40}}\uff5c>|<start_of_turn>|\[/?INST\]|<</?SYS>>"
)
# Marks within a turn.
_WITHIN_TURN: Final = re.compile(
    r"thought|think|inner_|solution|response|action|_text\b|tool|python|plugin|channel|message"
    r"|constrain|fim",
    re.IGNORECASE,
)
_HEADER: Final = re.compile(r"im_start|start_header_id|start_of_(?:turn|role)|<\|(?:start\||turn)>")
_ROLE: Final = re.compile(r"\s*([a-z]+)\b[ \t]*(?:<\|end_(?:header_id|of_role)\|>)?")
_USER: Final = re.compile(r"user|system|human|INST|SYS", re.IGNORECASE)
_BEGIN: Final = re.compile(r"<s>|<bos>|begin.of.(?:text|sentence)|<\|startoftext\|>|end_header_id")
_PLAIN_ROLES: Final = re.compile(r"\s*(?:system|user)\n")
_PLAIN_ASSISTANT: Final = re.compile(r"^(?:assistant|model)[ \t]*\n", re.MULTILINE)
_PROMPT_HEADING: Final = re.compile(
    r"\s*(?:Below is an instruction\b|\#{1,6}[ \t]*(?:Instructions?|Task|System|User|Input|"
    r"Question|Database|Schema|Context|Tables?)\b|(?:USER|Human|User|SYSTEM)[ \t]*:)"
)
_ANSWER_HEADING: Final = re.compile(
    r"^[ \t]*(?:\#{1,6}[ \t]*(?:Response|Answer|Output|SQL(?:[ \t]Query)?|Assistant|Query)\b"
    r"[ \t]*:?"
    r"|(?:ASSISTANT|Assistant)[ \t]*:)",
    re.MULTILINE,
)


def _take_turn(text: str, which: Block) -> Part:
    """Take the model's own turn: without an echoed prompt, end marks, and turns that follow."""
    turns = _split_turns(text)
    filled = [(role, turn) for role, turn in turns if turn.strip()]
    own = [turn for role, turn in filled if role == "assistant"]
    if len(turns) == 1 or not own:
        return Part(text)
    if filled[0][0] != "assistant":
        return Part(own[-1], ("echoed prompt",))
    found = _choose(own, "first", _may_answer) or own[0]
    return Part(found, ("end mark",) if found.strip() != text.strip() else ())


def _may_answer(text: str) -> bool:
    return "think" in text or holds_statement(text)


def _split_turns(text: str) -> list[tuple[str, str]]:
    """Return the turns of a text, each with its role."""
    turns: list[tuple[str, str]] = []
    role, last = "assistant", 0
    for match in _find_marks_outside(_SPECIAL, text):
        mark = match[0]
        if _WITHIN_TURN.search(mark) or match.start() < last:
            continue
        turns.append((role, text[last : match.start()]))
        last = match.end()
        if _HEADER.search(mark) and (header := _ROLE.match(text, last)) is not None:
            role = "assistant" if header[1] in ("assistant", "model") else "user"
            last = header.end()
        elif mark == "[/INST]":
            # Without its opening mark, the prompt before it looks like an answer.
            if role == "assistant" and len(turns) == 1 and not _starts_with_query(turns[0][1]):
                turns = [("user", turns[0][1])]
            role = "assistant"
        elif _USER.search(mark):
            role = "user"
        elif not _BEGIN.search(mark):
            role = "assistant"
    return [*turns, (role, text[last:])]


def _starts_with_query(text: str) -> bool:
    return starts_with_statement(text) and find_first_word(text) != "CREATE"


def _skip_plain_prompt(text: str, which: Block) -> Part:
    """Skip a prompt that is repeated before the answer, without marks around it."""
    if _PLAIN_ROLES.match(text):
        headings = [*_PLAIN_ASSISTANT.finditer(text)]
    elif _PROMPT_HEADING.match(text):
        headings = [*_ANSWER_HEADING.finditer(text)]
    else:
        return Part(text)
    found = text[headings[-1].end() :] if headings else ""
    return Part(found, ("echoed prompt",)) if holds_statement(found) else Part(text)


# ---- reasoning ----------------------------------------------------------------------------------

_THOUGHT_NAMES: Final = (
    r"(?:\w{1,20}[:_])?think|thinking|thoughts?|reasoning|reason|scratchpad|reflection|analysis"
    r"|planning|rationale"
)
# The marks of models' own templates, and the words by which Granite parts its thoughts.
_THOUGHT: Final = re.compile(
    rf"<(?P<closes>/?)(?:{_THOUGHT_NAMES})>|\u25c1(?P<kimi>/?)think\u25b7|\[(?P<mistral>/?)THINK\]"
    r"|<[|\uff5c](?=[\w:]{0,20}think|[\w:]{0,20}thought|inner_(?:pre|suf)fix)"
    r"(?:(?P<ends>[\w:]{0,20}(?:end|suffix)\w{0,20})|[\w:]{1,40})(?::\w{1,20})?[|\uff5c]>"
    r"|<\|channel>thought\b|(?P<gemma><channel\|>)|\[unused16\]|(?P<pangu>\[unused17\])"
    r"|^Here(?:'s| is) my thought process:|^(?P<granite>Here(?:'s| is) my response:)",
    re.IGNORECASE | re.MULTILINE,
)
_CHANNEL: Final = re.compile(
    r"<\|channel\|>\s*(\w{1,20})[^<\n]{0,200}(?:<\|constrain\|>[^<\n]{0,40})?<\|message\|>"
)
_CHANNEL_END: Final = re.compile(r"<\|(?:end|return|call|start|channel)\|>")
_PLAIN_ANALYSIS: Final = re.compile(r"\s*analysis(?=[A-Z])")
_PLAIN_FINAL: Final = "assistantfinal"


def _skip_thought(text: str, which: Block) -> Part:
    """Take the text after the last closing tag; a thought that never ends leaves an empty text."""
    marks = [(m.start(), m.end(), _is_closing(m)) for m in _find_marks(_THOUGHT, text)]
    if not marks:
        return Part(text)
    outside: list[str] = []
    last = 0
    is_open = False
    for start, end, closes in marks:
        if closes and not is_open:
            outside.clear()  # the prompt opened this thought
        if not closes and not is_open:
            outside.append(text[last:start])
        last, is_open = end, not closes
    if is_open:
        is_tagged = text.rstrip().endswith("</answer>")
        answer = text[max(text.rfind("<answer>", last), last) :] if is_tagged else outside[-1]
    else:
        answer = text[last:]
    if not holds_statement(answer):
        answer = _choose(outside, "last", holds_statement) or answer
    return Part(answer, ("reasoning",))


def _is_closing(mark: re.Match[str]) -> bool:
    return any(mark.groupdict().values())


def _take_channel(text: str, which: Block) -> Part:
    """Take the final channel of harmony's form, or the tool call of an answer without one."""
    if (plain := _PLAIN_ANALYSIS.match(text)) is not None:
        at = text.rfind(_PLAIN_FINAL)
        found = text[at + len(_PLAIN_FINAL) :] if at >= 0 else ""
        if at < 0 and (call := text.rfind("assistantcommentary")) >= plain.end():
            found = text[call:]
        return Part(found, ("final channel",))
    marks = _find_marks(_CHANNEL, text)
    if not marks:
        return Part(text)
    bodies: dict[str, list[str]] = {}
    for mark in marks:
        end = _CHANNEL_END.search(text, mark.end())
        body = text[mark.end() : end.start() if end else len(text)]
        bodies.setdefault(mark[1], []).append(body)
    finals = bodies.get("final") or bodies.get("commentary") or [""]
    return Part(_choose(finals, which, holds_statement) or finals[-1], ("final channel",))


# ---- tags ---------------------------------------------------------------------------------------

# The outer ones first.
_TAGS: Final = (
    r"answer|final_answer|finalanswer",
    r"solution",
    r"final|response|output|result",
    r"final_sql|final_query|sql_query|sqlquery|sql|query",
)
_TAG: Final = re.compile(
    "|".join(rf"<(?P<c{n}>/?)(?P<n{n}>{names})>" for n, names in enumerate(_TAGS))
    + r"|<[|\uff5c](?:begin|(?P<ends>end))_of_solution[|\uff5c]>",
    re.IGNORECASE,
)


def _take_tags(text: str, which: Block) -> Part:
    """Take the text in the answer's tags, from the outer to the inner ones."""
    rules: tuple[str, ...] = ()
    if _TAG.search(text) is None:
        return Part(text)
    for n in range(len(_TAGS)):
        marks = [mark for mark in _find_marks_outside(_TAG, text) if _find_level(mark) == n]
        bodies: list[str] = []
        for mark, following in zip(marks, [*marks, None][1:], strict=True):
            if not _is_tag_end(mark):
                bodies.append(text[mark.end() : following.start() if following else len(text)])
        if (found := _choose(bodies, which, holds_statement)) is not None:
            text, rules = found, ("answer tag",)
    return Part(text, rules)


def _find_level(mark: re.Match[str]) -> int:
    return next((n for n in range(len(_TAGS)) if mark[f"n{n}"]), 1)


def _is_tag_end(mark: re.Match[str]) -> bool:
    return bool(mark["ends"] or any(mark[f"c{n}"] for n in range(len(_TAGS))))


_FINAL_HEADING: Final = re.compile(
    r"^[ \t>*\#]{0,20}(?:(?:my|the)[ ])?final[ ](?:answer|sql|query|sql[ ]query)\b[ \t*]{0,10}:"
    r"[\s*`\"']{0,20}(?:sql(?:ite)?\s)?",
    re.MULTILINE | re.IGNORECASE,
)


# How far comments may stretch between a heading and its statement.
_HEADING_REACH: Final = 5000
_ACTION: Final = re.compile(r"^[ \t]{0,9}Action Input:", re.MULTILINE)
_OBSERVATION: Final = re.compile(r"^[ \t]{0,9}Observation:", re.MULTILINE)
_DRAFT: Final = re.compile(r"^[ \t]{0,9}Intermediate[_ ]representation:", re.MULTILINE)
_DRAFTED: Final = re.compile(r"^[ \t]{0,9}SQL:", re.MULTILINE)


def _take_below_heading(text: str, which: Block) -> Part:
    """Take the statement below the last heading that calls it final, as agents write it."""
    if which == "first":
        return Part(text)
    if (draft := _DRAFT.search(text)) is not None:  # as prompts of DIN-SQL ask for
        label = _DRAFTED.search(text, draft.end())
        found = text[label.end() :] if label else ""
        return Part(found, ("answer tag",)) if holds_statement(found) else Part(text)
    marks = [
        mark
        for mark in _FINAL_HEADING.finditer(text)
        if starts_with_statement(text[mark.end() : mark.end() + _HEADING_REACH])
    ]
    if marks and text[: marks[-1].start()].strip():
        at = marks[-1].start()
        return Part(text[text.index(":", at) + 1 :], ("answer tag",))
    return _take_action(text)


def _take_action(text: str) -> Part:
    """Take the last statement that an agent runs, in the form of ReAct."""
    starts = [mark.end() for mark in _ACTION.finditer(text)]
    ends = [mark.start() for mark in _OBSERVATION.finditer(text)]
    for start in reversed(starts):
        end = min((end for end in ends[-1:] if end > start), default=len(text))
        if holds_statement(text[start : min(end, start + _HEADING_REACH)]):
            return Part(text[start:end], ("answer tag",))
    return Part(text)


# ---- JSON ---------------------------------------------------------------------------------------

_SQL_KEYS: Final = (
    r"sql|query|sql_query|sqlquery|sql_code|final_sql|final_query|answer|final_answer|statement"
    r"|action_input|input|command|code"
)
_ARGUMENT_KEYS: Final = r"arguments|args|parameters|tool_input|action_input|function_call"
_PAIR: Final = re.compile(
    rf"(?<!\\)([\"'])(?P<key>{_SQL_KEYS}|{_ARGUMENT_KEYS})\1\s{{0,20}}:\s{{0,20}}(?P<quote>[\"'])",
    re.IGNORECASE,
)
_STRING_BODIES: Final = {
    '"': re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL),
    "'": re.compile(r"[^'\\]*+(?:\\.[^'\\]*+)*+", re.DOTALL),
}
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_MAX_NESTING: Final = 3


def _take_json(text: str, which: Block) -> Part:
    """Take the query of a JSON object, such as a tool call."""
    if starts_with_statement(text):
        return Part(text)
    found = _find_in_json(text, which, _MAX_NESTING)
    return Part(text) if found is None else Part(found, ("JSON",))


def _find_in_json(text: str, which: Block, nesting: int) -> str | None:
    values: list[tuple[str, str]] = []
    position = 0
    while (pair := _PAIR.search(text, position)) is not None:
        body = _STRING_BODIES[pair["quote"]].match(text, pair.end())
        position = body.end() + 1 if body else pair.end()
        if body and _is_in_object(text, pair.start()):
            values.append((pair["key"].lower(), unescape(body[0], pair["quote"])))
    for key, value in values if which == "first" else reversed(values):
        if re.fullmatch(_ARGUMENT_KEYS, key) and nesting and not starts_with_statement(value):
            inner = _find_in_json(value, which, nesting - 1)
            if inner is not None:
                return inner
        if re.fullmatch(_SQL_KEYS, key) and holds_statement(value):
            return value
    return None


def _is_in_object(text: str, position: int) -> bool:
    """Return whether a key is in an object that is not the text of a SQL string."""
    opening = text.rfind("{", max(0, position - _MAX_OBJECT_REACH), position)
    return (opening > 0 and text[opening - 1] != "'") or opening == 0


_MAX_OBJECT_REACH: Final = 5000


def unescape(body: str, quote: str) -> str:
    """Return the text of a string literal in JSON or Python."""
    if "\\" not in body:
        return body
    if quote == '"':
        try:
            return str(json.loads(f'"{body}"', strict=False))
        except ValueError:
            pass
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), body)


# ---- fences -------------------------------------------------------------------------------------

_FENCE: Final = re.compile(r"`{3,}|^[ \t]*~{3,}", re.MULTILINE)
_SQL_LANGUAGE: Final = (
    r"[\w-]{0,20}sql[\w+-]{0,20}|sqlite\d?|postgres|bigquery|snowflake|duckdb|hive|hql|spark"
    r"|databricks|oracle|mariadb|clickhouse|redshift|trino|presto|athena|query|plain(?:text)?"
    r"|te?xt|code"
)
_LANGUAGE: Final = re.compile(
    rf"[ \t]*(?:({_SQL_LANGUAGE})(?![\w(])|([A-Za-z][\w+.\#-]{{0,30}})(?=[ \t\r]*(?:\n|\Z)))",
    re.IGNORECASE,
)
_GLUED_LANGUAGE: Final = re.compile(r"sql(?=select\b|with\b|insert\b)", re.IGNORECASE)
_DEFINITION: Final = re.compile(r"CREATE\s+(?:\w+\s+){0,2}(?:TABLE|INDEX)\b", re.IGNORECASE)
_SELECT: Final = re.compile(r"\bSELECT\b", re.IGNORECASE)
_FROM: Final = re.compile(r"\bFROM\b", re.IGNORECASE)


def _take_block(text: str, which: Block) -> Part:
    """Take the fenced block that holds a statement, as far as possible a whole query."""
    marks = _find_marks(_FENCE, text)
    if not marks:
        return Part(text)
    before = text[: marks[0].start()]
    has_begun = starts_with_statement(before)
    if has_begun and _LANGUAGE.match(text, marks[0].end()) is None:
        return Part(before, ("fenced block",))  # the prompt opened this block
    blocks = list(_list_blocks(text, marks))
    best = max((block.rank for block in blocks), default=0)
    if best == 0:
        return Part(before, ("fenced block",)) if has_begun else Part(_FENCE.sub("\n", text))
    chosen = [block for block in blocks if block.rank == best]
    # Fences within a line are code in a sentence, where the first statement is the answer.
    is_last = which == "last" and chosen[-1].is_on_own_lines
    return Part(chosen[-1 if is_last else 0].text, ("fenced block",))


class _FencedBlock(NamedTuple):
    text: str
    rank: int
    is_on_own_lines: bool


def _list_blocks(text: str, marks: Sequence[re.Match[str]]) -> Iterable[_FencedBlock]:
    """Yield the blocks of a text; the last one may lack its end."""
    opening: re.Match[str] | None = None
    for mark in marks:
        if opening is None:
            opening = mark
        elif mark[0].strip().startswith(opening[0].strip()):
            yield _make_block(text, opening, mark.start())
            opening = None
    if opening is not None:
        yield _make_block(text, opening, len(text))


def _make_block(text: str, opening: re.Match[str], end: int) -> _FencedBlock:
    start = opening.start()
    before = text[max(0, start - _MAX_INDENT) : start].rpartition("\n")[2]
    block = text[opening.end() : end]
    language, body = _split_language(_CITED.sub("", block) if ">" in before else block)
    is_on_own_lines = body.lstrip(" \t\r").startswith("\n") or not before.strip(" \t>*-0123456789.")
    # Among blocks of one rank, those on lines of their own come first.
    rank = 2 * _rank_block(language, body)
    return _FencedBlock(body, rank + is_on_own_lines if rank else 0, is_on_own_lines)


_MAX_INDENT: Final = 40
_CITED: Final = re.compile(r"^[ \t]*>[ \t]?", re.MULTILINE)


def _split_language(block: str) -> tuple[str, str]:
    if (glued := _GLUED_LANGUAGE.match(block)) is not None:
        return "sql", block[glued.end() :]
    match = _LANGUAGE.match(block)
    if match is None or starts_with_statement(block):
        return "", block
    return ("sql" if match[1] else "other"), block[match.end() :]


def _rank_block(language: str, body: str) -> int:
    """Return how likely a block is the answer: 0 for a block without a statement."""
    if language == "other":
        return int(holds_statement(body))
    if starts_with_statement(body) or (language and holds_statement(body)):
        # An explanation may repeat parts of the query, such as its select list.
        is_part = find_first_word(body) == "SELECT" and _FROM.search(body) is None
        return 3 if is_part or _is_definition(body) else 4
    return 2 if holds_statement(body) else 0


def _is_definition(body: str) -> bool:
    """Return whether a block only defines tables or indexes, as a remark on an answer does."""
    match = _DEFINITION.match(body, skip_leading(body))
    return match is not None and _SELECT.search(body) is None


# ---- all steps ----------------------------------------------------------------------------------

_STEPS: Final = (
    _take_channel,
    _take_turn,
    _skip_plain_prompt,
    _skip_thought,
    _take_tags,
    _take_below_heading,
    _take_json,
    _take_block,
)


def find_final_answer(text: str, which: Block = "last") -> Part:
    """Return the part of a model's output that is its answer, and the rules that found it.

    Args:
        text: The whole output.
        which: The block to take if several hold a statement.
    """
    rules: dict[str, None] = {}
    text = text.replace('<|"|>', '"')  # a quote in Gemma's tool calls
    for step in _STEPS:
        text, found = step(text, which)
        rules |= dict.fromkeys(found)
    return Part(text, tuple(rules))
