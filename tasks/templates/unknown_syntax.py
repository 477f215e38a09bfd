"""Valid SQL that sqlglot's parser does not know, rewritten into SQL that it knows.

A template is made of its query's own tokens, and the parse only shows names and types among them.
So where the parser rejects a clause that is known to be valid, it gets the tokens without that
clause, or with a similar one in its place. The template still has all tokens.

A rule is written as a row of elements. It applies wherever its elements follow each other:

=============  ==================================================================================
``WORD``       the word, unquoted; ``A|B`` is either
``COMMA``      a comma; ``PIPE`` is the pipe operator
``()``         a bracket with all in it
``columns``    a bracket with names in it
``name``       a name with its dotted parts, or a variable
``names``      a list of names
``type``       a type with its parameters
``value``      a literal, a parameter, or a name, as of a function with its brackets
``...``        anything up to the next element, which follows within the same brackets
``$``          the end of the statement or of the brackets around it
``-x``         ``x``, which the parser does not see
``?x``         ``x`` or nothing; also ``-?x``
``x>WORD``     ``x``, in whose place the parser sees the other word
=============  ==================================================================================

A rule must be as tight as its clause, because text that is not SQL must stay rejected.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sqlglot.dialects.dialect import Dialect
from sqlglot.tokenizer_core import Token, TokenType

from nl2sql_align.tasks.templates.dialect_rules import STRING_TOKENS

# In every dialect. Pipe operators belong here, too: EXTEND takes any list of expressions.
_EVERYWHERE: Final = """
REPLACE>INSERT INTO name
WHERE -CURRENT -OF name $
GROUP_BY WINDOW>VAR ()
-{ -D|T|TS value -}
XMLSERIALIZE|XMLPARSE ( -CONTENT|DOCUMENT value
XMLPI ( -NAME name
PIPE SET|DROP|RENAME|CALL|ASSERT|WINDOW|OFFSET>EXTEND
PIPE CALL name ( -TABLE name
PIPE LIMIT>EXTEND value OFFSET>COMMA
PIPE LIMIT>EXTEND
PIPE WITH>EXTEND -?RECURSIVE -name -AS
PIPE SORT_BY|CLUSTER_BY|DISTRIBUTE_BY>EXTEND
PIPE AGGREGATE ... GROUP_BY -GROUPING_SETS|ROLLUP|CUBE ()
TABLE>FROM name PIPE
) -AS -name PIPE
"""
# In the brackets of functions such as JSON_TABLE.
_IN_JSON_FUNCTIONS: Final = """
-NULL|ERROR|TRUE|FALSE|UNKNOWN|EMPTY|ABSENT -ON -EMPTY|ERROR|NULL
-EMPTY -ARRAY|OBJECT -ON -EMPTY|ERROR
-DEFAULT -value -ON -EMPTY|ERROR
-WITH|WITHOUT -?CONDITIONAL|UNCONDITIONAL -?ARRAY -WRAPPER
-KEEP|OMIT -QUOTES -ON -SCALAR -STRING
-KEEP|OMIT -QUOTES
-EXISTS PATH
-FORMAT -JSON -ENCODING -name
-FORMAT -JSON
-PASSING -... COLUMNS|RETURNING|NULL|ERROR|TRUE|FALSE|UNKNOWN|DEFAULT|WITH|WITHOUT|EMPTY|$
-AS -name PASSING|COLUMNS
-RETURNING -type -CHARACTER -SET -name
-RETURNING -type
"""
# By dialect; those derived from it have its rules as well.
_IN_DIALECTS: Final = {
    "clickhouse": """
        LIMIT value BY ... -LIMIT -value -COMMA|OFFSET -value
        LIMIT value BY ... -LIMIT -value
        LIMIT value COMMA|OFFSET value BY ... -LIMIT -value -COMMA|OFFSET -value
        LIMIT value COMMA|OFFSET value BY ... -LIMIT -value
        LEFT|RIGHT|FULL ASOF|ANTI|SEMI|ANY|ALL -OUTER JOIN
        -INTO -OUTFILE -value
        INSERT INTO name ?() -FORMAT -name
        ALTER>UPDATE -TABLE name UPDATE>SET
        ALTER>UPDATE -TABLE name -ON -CLUSTER -name UPDATE>SET
        ALTER -TABLE ... UPDATE ... -SETTINGS -... $
        """,
    "bigquery": """
        -MODEL name COMMA|)
        SELECT -WITH -DIFFERENTIAL_PRIVACY|AGGREGATION_THRESHOLD|ANONYMIZATION -OPTIONS -()
        """,
    "databricks": """
        -FOR -SYSTEM_VERSION -AS -OF -value
        MERGE -WITH -SCHEMA -EVOLUTION INTO
        """,
    "duckdb": """
        INSERT INTO name -BY -POSITION
        """,
    "hive": """
        INSERT OVERWRITE ?TABLE name PARTITION () -IF -NOT -EXISTS
        """,
    "mysql": """
        SELECT -SQL_CACHE|SQL_NO_CACHE
        -NEXT|PREVIOUS -VALUE -FOR name
        GROUP_BY ... -ASC|DESC
        GROUP_BY ... ASC|DESC ... -ASC|DESC
        INSERT ... -WITH -LABEL -name
        INSERT|REPLACE|UPDATE|DELETE -LOW_PRIORITY|HIGH_PRIORITY|DELAYED|QUICK -?QUICK -?IGNORE
        UPDATE|DELETE -IGNORE
        REPLACE>INSERT ?LOW_PRIORITY|DELAYED ?INTO name (|VALUES|VALUE|SELECT|SET|PARTITION|TABLE
        -INTO -OUTFILE|DUMPFILE -value
        -FIELDS|COLUMNS|LINES ?OPTIONALLY TERMINATED|ENCLOSED|ESCAPED|STARTING BY value
        -OPTIONALLY ENCLOSED BY value
        -TERMINATED|ENCLOSED|ESCAPED|STARTING -BY -value
        -INTO -names $
        SELECT ... -INTO -names FROM
        """,
    "oracle": """
        MERGE ... UPDATE SET ... WHERE ... -DELETE WHERE>AND
        MERGE ... UPDATE SET ... -DELETE WHERE
        -LOG -ERRORS -?INTO -?name -?() -REJECT -LIMIT -value
        -LOG -ERRORS -INTO -name -?()
        -VERSIONS -BETWEEN -SCN|TIMESTAMP -value -AND -value
        RETURNING ... -BULK_COLLECT_INTO -names
        RETURNING ... -INTO -names
        -MULTISET UNION|EXCEPT|INTERSECT>PLUS -?ALL|DISTINCT
        INTERVAL YEAR|DAY -() TO MONTH|SECOND -?()
        PIVOT -XML ()
        -MODEL -... -DIMENSION -BY -() -MEASURES -() -?RULES -?UPDATE|UPSERT -()
        """,
    "postgres": """
        -OVERRIDING -SYSTEM|USER -VALUE
        RETURNING -WITH -()
        ONLY -( name -)
        ORDER_BY ... -USING -LESS|GREATER
        ORDER_BY ... -USING -OPERATOR -()
        """,
    "sqlite": """
        UPDATE -OR -IGNORE|REPLACE|ABORT|FAIL|ROLLBACK
        """,
    "tsql": """
        UPDATE|DELETE|INSERT|MERGE -TOP -() -?PERCENT
        INSERT ?TOP ?() ?PERCENT ?INTO name -WITH -()
        OUTPUT ... INTO name -columns
        DELETE ... -OUTPUT -value -... FROM|WHERE|OPTION|$
        DELETE ?TOP ?() ?PERCENT FROM name ... FROM>USING
        INSERT ... -EXEC|EXECUTE -... $
        WITH -XMLNAMESPACES -() -COMMA
        -WITH -XMLNAMESPACES -() SELECT
        -OPTION -() $
        WITH ( INDEX -= -value
        OPENROWSET|PREDICT>OPENJSON ( -BULK|MODEL -?= value -... ) WITH (
        OPENROWSET ( -BULK
        OPENXML>OPENJSON ( value COMMA value -COMMA -value )
        """,
}
_SPELLINGS: Final = {
    "COMMA": ",",
    "PIPE": "|>",
    "LESS": "<",
    "GREATER": ">",
    **{f"{word}_BY": f"{word} BY" for word in ("GROUP", "ORDER", "SORT", "CLUSTER", "DISTRIBUTE")},
    "GROUPING_SETS": "GROUPING SETS",
    "BULK_COLLECT_INTO": "BULK COLLECT INTO",
}
# Signs that a tokenizer splits, and the type of token that parses in their place: those of T-SQL,
# and in PostgreSQL of pgvector, pg_trgm, PostGIS, geometry, and networks.
_SIGNS: Final = {
    "tsql": {
        "!>": TokenType.LTE,
        "!<": TokenType.GTE,
        **{f"{sign}=": TokenType.EQ for sign in "+-*/%&^|"},
    },
    "postgres": dict.fromkeys(
        """
        <#> <+> <~> <%> %> <% <<% %>> <<-> <->> <<<-> <->>> ~= <<| |>> &<| |&> <^ >^ <<= >>=
        <<#>> |=| &&& ~~= ?# ?|| ~<~ ~>~ ~<=~ ~>=~
        """.split(),
        TokenType.PIPE,
    ),
    "oracle": {"**": TokenType.STAR},
}
_MOST_PARTS: Final = 5
# Words that tell little of which rule may apply, although they are long.
_COMMON: Final = frozenset("SELECT FROM WHERE GROUP ORDER INSERT UPDATE DELETE LIMIT".split())
# Types of literals in the braces of ODBC, which are not keywords.
_ODBC_TYPES: Final = frozenset({"D", "T", "TS"})
# Bounds the time for hostile texts.
_MOST_STEPS: Final = 100_000
_VARIABLE_SIGNS: Final = frozenset({"@", "#", ":", "$"})
_OPENING: Final = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE})
_CLOSING: Final = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE})
_QUOTED: Final = frozenset(TokenType[name] for name in ("IDENTIFIER", *STRING_TOKENS.split()))
_LITERALS: Final = frozenset(
    {TokenType.NUMBER, TokenType.NULL, TokenType.PLACEHOLDER}
    | {TokenType[name] for name in STRING_TOKENS.split()}
)


class _Element(NamedTuple):
    """One element of a rule."""

    words: frozenset[str]
    is_hidden: bool
    is_optional: bool
    instead: str


_Rule = tuple[_Element, ...]
_KINDS: Final = frozenset({"()", "columns", "name", "names", "type", "value", "...", "$"})
_ELEMENT: Final = re.compile(r"(-?)(\??)([^\s>]+)(?:>(\w+))?")


def _read_rules(text: str) -> list[_Rule]:
    return [
        tuple(
            _Element(
                frozenset(_SPELLINGS.get(word, word) for word in words.split("|")),
                hidden == "-",
                optional == "?",
                instead,
            )
            for hidden, optional, words, instead in _ELEMENT.findall(line)
        )
        for line in text.split("\n")
        if line.strip()
    ]


_JSON_RULES: Final = _read_rules(_IN_JSON_FUNCTIONS)
_DIALECT_RULES: Final = {name: _read_rules(text) for name, text in _IN_DIALECTS.items()}
_COMMON_RULES: Final = _read_rules(_EVERYWHERE)

RULE_WORDS: Final = frozenset(
    word
    for rules in (_COMMON_RULES, _JSON_RULES, *_DIALECT_RULES.values())
    for rule in rules
    for element in rule
    for spelling in element.words
    for word in spelling.split()
    if spelling not in _KINDS | _ODBC_TYPES and word.isalpha()
)
"""All words that rules name: two queries that differ in one share no parse."""


class Rewritten(NamedTuple):
    """A query's tokens after the rules.

    Attributes:
        tokens: The tokens of the template.
        parsed: The tokens that the parser gets.
        keywords: Offsets of words that a rule names.
        names: Offsets of words that a rule takes for names.
    """

    tokens: list[Token]
    parsed: list[Token]
    keywords: set[int]
    names: set[int]


class UnknownSyntax:
    """The rules of one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        lineage = {one.__name__.lower() for one in type(dialect).__mro__}
        self._signs = {
            sign: token_type
            for name, signs in _SIGNS.items()
            if name in lineage
            for sign, token_type in signs.items()
        }
        parser = dialect.parser_class
        self._names = parser.ID_VAR_TOKENS | parser.NO_PAREN_FUNCTIONS.keys()
        self._names.add(TokenType.IDENTIFIER)
        own = [rule for name, rules in _DIALECT_RULES.items() if name in lineage for rule in rules]
        rules = own + _COMMON_RULES
        self._rules = _by_first_word(rules)
        # Most texts that do not parse lack these words, so that their tokens need not be searched.
        words = {"JSON_", *(word for rule in rules for word in _rarest_words(rule))}
        self._words = (*sorted(words), *self._signs)

    def rewrite(self, text: str, tokens: list[Token]) -> Rewritten | None:
        """Return the tokens as changed by the rules that apply; None if no rule applies."""
        upper = text.upper()
        if not any(word in upper for word in self._words):
            return None
        joined = _join_signs(tokens, self._signs) if self._signs else tokens
        edits = _Matcher(joined, self._names).find_edits(self._rules)
        if joined is tokens and not edits.hidden and not edits.instead:
            return None
        tokens = joined
        parsed = [
            _seen_as(token, edits.instead[i]) if i in edits.instead else token
            for i, token in enumerate(tokens)
            if i not in edits.hidden
        ]
        return Rewritten(
            tokens,
            parsed,
            {tokens[i].start for i in edits.keywords},
            {tokens[i].start for i in edits.names if tokens[i].token_type in self._names},
        )


def _rarest_words(rule: _Rule) -> list[str]:
    """Return words; a text that the rule applies to has at least one of them."""
    required = [
        [word.split()[0] for word in element.words]
        for element in rule
        if not element.is_optional and not element.words & _KINDS
    ]
    return max(
        required,
        key=lambda words: (words == ["|>"], not _COMMON.intersection(words), min(map(len, words))),
    )


def _by_first_word(rules: list[_Rule]) -> dict[str, list[_Rule]]:
    found: dict[str, list[_Rule]] = {}
    for rule in rules:
        for word in rule[0].words:
            found.setdefault(word, []).append(rule)
    return found


_JSON_RULES_BY_WORD: Final = _by_first_word(_JSON_RULES)


def _replaced(token: Token, token_type: TokenType, text: str, end: int | None = None) -> Token:
    return Token(
        token_type,
        text,
        line=token.line,
        col=token.col,
        start=token.start,
        end=token.end if end is None else end,
    )


def _seen_as(token: Token, word: str) -> Token:
    text = _SPELLINGS.get(word, word)
    is_variable = word in ("EXTEND", "OPENJSON")
    return _replaced(token, TokenType.VAR if is_variable else TokenType[word], text)


def _join_signs(tokens: list[Token], signs: dict[str, TokenType]) -> list[Token]:
    """Make one token of each sign that is split; return the same list if it has no such sign."""
    joined: list[Token] = []
    i = 0
    while i < len(tokens):
        text, found = tokens[i].text, 0
        for end in range(i + 1, min(i + _MOST_PARTS, len(tokens))):
            if tokens[end - 1].end + 1 != tokens[end].start or tokens[end].text.isalnum():
                break
            text += tokens[end].text
            found = end if text in signs else found
        if found:
            text = "".join(token.text for token in tokens[i : found + 1])
            joined.append(_replaced(tokens[i], signs[text], text, tokens[found].end))
        else:
            joined.append(tokens[i])
        i = (found or i) + 1
    return joined if len(joined) < len(tokens) else tokens


@dataclass
class _Edits:
    """Indexes of the tokens that rules change or name."""

    hidden: set[int] = field(default_factory=set)
    instead: dict[int, str] = field(default_factory=dict)
    keywords: set[int] = field(default_factory=set)
    names: set[int] = field(default_factory=set)


class _Matcher:
    """Finds where rules apply in a row of tokens."""

    def __init__(self, tokens: list[Token], names: set[TokenType]) -> None:
        self._names = names
        self._n_steps = 0
        self._count = len(tokens)
        # Quoted words and words behind a dot are names.
        self._words = [
            ""
            if token.token_type in _QUOTED or (i and tokens[i - 1].token_type == TokenType.DOT)
            else " ".join(token.text.upper().split())
            for i, token in enumerate(tokens)
        ]
        self._types = [token.token_type for token in tokens]
        self._closing = self._find_closing_brackets()

    def _find_closing_brackets(self) -> dict[int, int]:
        opened: list[int] = []
        closing: dict[int, int] = {}
        for i, token_type in enumerate(self._types):
            if token_type in _OPENING:
                opened.append(i)
            elif token_type in _CLOSING and opened:
                closing[opened.pop()] = i
        return closing

    def find_edits(self, rules: dict[str, list[_Rule]]) -> _Edits:
        """Return the changes of all rules that apply anywhere."""
        edits = _Edits()
        json_end = -1
        for i, word in enumerate(self._words):
            if i > json_end and word.startswith("JSON_") and i + 1 in self._closing:
                json_end = self._closing[i + 1]
            candidates = rules.get(word, ())
            if i < json_end and word in _JSON_RULES_BY_WORD:
                candidates = [*candidates, *_JSON_RULES_BY_WORD[word]]
            for rule in candidates:
                spans = self._match(rule, 0, i)
                if spans is not None:
                    self._apply(rule, spans, edits)
        return edits

    def _apply(self, rule: _Rule, spans: list[tuple[int, int]], edits: _Edits) -> None:
        for element, (start, end) in zip(rule, spans, strict=True):
            if element.is_hidden:
                edits.hidden.update(range(start, end))
            if end == start:
                continue
            if element.instead:
                edits.instead[start] = element.instead
            if self._words[start] in element.words - _ODBC_TYPES:
                edits.keywords.add(start)
            elif element.is_hidden and element.words & {"name", "names", "columns"}:
                edits.names.update(range(start, end))

    def _match(self, rule: _Rule, k: int, i: int) -> list[tuple[int, int]] | None:
        """Return the span of each element from the ``k``-th on, if they match from ``i`` on."""
        if k == len(rule):
            return []
        if "..." in rule[k].words:
            end = self._find(rule[k + 1], i)
            rest = self._match(rule, k + 1, end) if end >= 0 else None
            return None if rest is None else [(i, end), *rest]
        for end in self._ends(rule[k], i):
            rest = self._match(rule, k + 1, end)
            if rest is not None:
                return [(i, end), *rest]
        return None

    def _find(self, element: _Element, i: int) -> int:
        """Return where the element first occurs from ``i`` on, within the same brackets; or -1."""
        while self._n_steps < _MOST_STEPS:
            self._n_steps += 1
            if any(True for _ in self._ends(element, i)):
                return i
            if i >= self._count or self._types[i] in _CLOSING:
                return -1
            i = self._closing.get(i, i) + 1
        return -1

    def _ends(self, element: _Element, i: int) -> Iterator[int]:
        """Yield each index at which the element may end that starts at ``i``."""
        end = self._end_of(element.words, i)
        if end > i or (end == i and "$" in element.words):
            yield end
        if element.is_optional:
            yield i

    def _end_of(self, words: frozenset[str], i: int) -> int:
        """Return where a word, or an element of a kind, ends that starts at ``i``; else -1."""
        if i >= self._count or self._types[i] in _CLOSING:
            if i < self._count and self._words[i] in words:
                return i + 1
            return i if "$" in words else -1
        if self._words[i] in words:
            return i + 1
        if words & {"()", "columns"}:
            return self._closing.get(i, -2) + 1 if self._words[i] == "(" else -1
        if words & {"value", "type"}:
            return self._end_of_value(i)
        if "names" in words:
            return self._end_of_names(i)
        return self._end_of_name(i) if "name" in words else -1

    def _end_of_value(self, i: int) -> int:
        i += self._words[i] in ("-", "+")
        if i < self._count and self._types[i] in _LITERALS:
            return i + 1
        end = self._end_of_name(i)
        is_call = 0 < end < self._count and self._words[end] == "("
        return self._closing.get(end, -2) + 1 if is_call else end

    def _end_of_names(self, i: int) -> int:
        end = self._end_of_name(i)
        while 0 < end < self._count and self._words[end] == "," and self._end_of_name(end + 1) > 0:
            end = self._end_of_name(end + 1)
        return end

    def _end_of_name(self, i: int) -> int:
        is_variable = i < self._count and self._words[i] in _VARIABLE_SIGNS
        while i < self._count and self._words[i] in _VARIABLE_SIGNS:
            i += 1
        if is_variable and i < self._count and self._types[i] == TokenType.NUMBER:
            return i + 1
        if i >= self._count or self._types[i] not in self._names:
            return -1
        i += 1
        while i + 1 < self._count and self._words[i] == ".":
            i += 2
        return i
