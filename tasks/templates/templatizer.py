"""From a SQL text to its structural template (specification, section 2).

The text is tokenised and parsed once. The parse tree says which tokens are names and where column
types stand; the rest follows from the token and its neighbours. Nothing is generated back from the
tree, so that a template keeps the form in which its query was written.
"""

import logging
import re
from collections.abc import Callable
from typing import Final, NamedTuple

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from nl2sql_align.tasks.ingest.answers import KINDS, Kind
from nl2sql_align.tasks.templates.keywords import (
    BARE_FUNCTIONS,
    CAST_FUNCTIONS,
    CHARACTER_SET_FUNCTIONS,
    CONVERT_FUNCTIONS,
    DATE_FUNCTIONS,
    DATE_PARTS,
    DDL_KEYWORDS,
    JOINED_KEYWORDS,
    PAIRED_KEYWORDS,
    SHORT_DATE_PARTS,
    TEXT_KEYWORDS,
    TYPE_FOLLOWERS,
)
from nl2sql_align.tasks.templates.parse_sharing import ENDS, Shapes
from nl2sql_align.tasks.templates.rules import DEFAULT_LIMITS, Limits

# "contains unsupported syntax, falling back to Command": rejected here with a reason of its own.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)


# Bounds the memory of a process; some hundred bytes each.
_MAX_SHAPES: Final = 200_000


class Templated(NamedTuple):
    """What became of a query: a template and its comparable text, or why there is none."""

    template: str | None
    reject_reason: str | None
    comparable_text: str | None


# What to do with a token, decided by its type once per dialect. Indexing a list by the token type
# is several times faster than hashing an enum member. From _KEYWORD on, a token may be a name.
_LITERAL, _STRING, _DROP, _SYMBOL, _COMMA, _CLOSE, _OPEN, _DASH, _DOT, _AS, _ANGLE = range(11)
_ARGUMENT, _DCOLON, _PARAMETER, _KEYWORD, _NAME, _TYPE = range(11, 17)

_ACTION_TOKENS: Final = {
    _NAME: "VAR IDENTIFIER",
    _LITERAL: "NUMBER BIT_STRING HEX_STRING BYTE_STRING TRUE FALSE INTRODUCER",
    _STRING: "STRING NATIONAL_STRING RAW_STRING NATIONAL_RAW_STRING HEREDOC_STRING UNICODE_STRING",
    _DROP: "HINT SPACE BREAK SEMICOLON",
    _COMMA: "COMMA",
    _OPEN: "L_PAREN L_BRACKET L_BRACE",
    _CLOSE: "R_PAREN R_BRACKET R_BRACE",
    _DASH: "DASH",
    _DOT: "DOT",
    _AS: "ALIAS",
    _ANGLE: "LT GT",
    _ARGUMENT: "FARROW COLON_EQ",
    _DCOLON: "DCOLON QDCOLON DOTCOLON COLON_GT NCOLON_GT",
    _PARAMETER: "PARAMETER SESSION_PARAMETER DOLLAR COLON PLACEHOLDER",
}
# Lexed as types, but structure in their own right: a type only where the grammar wants one.
_STRUCTURAL_TYPES: Final = (
    "INTERVAL UNION NULL ARRAY LIST MAP STRUCT ENUM SET OBJECT TABLE NESTED VOID UNKNOWN RANGE ROW"
).split()
_NORMALISED_SYMBOLS: Final = {"<>": "!=", "==": "="}
_OPENERS: Final = frozenset(
    {"IN", "EXTRACT", *CAST_FUNCTIONS, *CHARACTER_SET_FUNCTIONS, *DATE_FUNCTIONS}
)
_TIME_ZONES: Final = tuple(
    (*words, "TIME", "ZONE") for words in (("WITH", "LOCAL"), ("WITH",), ("WITHOUT",))
)


class _Statements(dict[type, bool]):
    def __missing__(self, key: type) -> bool:
        self[key] = issubclass(key, _STATEMENTS)
        return self[key]


_STATEMENTS: Final = (
    exp.Query,
    exp.Values,
    exp.Insert,
    exp.MultitableInserts,
    exp.Update,
    exp.Delete,
    exp.Merge,
    exp.Create,
    exp.Drop,
    exp.Alter,
    exp.TruncateTable,
    exp.Pivot,
)
_IS_STATEMENT: Final = _Statements()
_DEFINITIONS: Final = (exp.Create, exp.Drop, exp.Alter, exp.TruncateTable)
_CHANGES: Final = (exp.Insert, exp.MultitableInserts, exp.Update, exp.Delete, exp.Merge)


def _kind(tree: exp.Expr) -> Kind:
    if isinstance(tree, _DEFINITIONS):
        return "ddl"
    return "dml" if isinstance(tree, _CHANGES) else "query"


# Kinds of things in a parse tree. Some nodes tell more than a name: of typed columns, quoted
# function names, typed literals.
_LEAF, _NODE, _NOTED, _IDENTIFIER, _LIST = range(5)
_NOTED_NODES: Final = frozenset(
    {
        exp.Anonymous,
        exp.Cast,
        exp.ColumnDef,
        exp.AlterColumn,
        exp.JSONColumnDef,
        exp.OpenJSONColumnDef,
    }
)


class _Kinds(dict[type, int]):
    def __missing__(self, key: type) -> int:
        if key is exp.Identifier:
            kind = _IDENTIFIER
        elif key in _NOTED_NODES:
            kind = _NOTED
        elif issubclass(key, exp.Expr):
            kind = _NODE
        else:
            kind = _LIST if issubclass(key, list) else _LEAF
        self[key] = kind
        return kind


_KINDS: Final = _Kinds()


def _actions(dialect: Dialect) -> list[int]:
    """One action per token type."""
    tokenizer, parser = dialect.tokenizer_class, dialect.parser_class
    actions = [_KEYWORD] * (max(TokenType) + 1)
    lexed = (*tokenizer.KEYWORDS.items(), *tokenizer.SINGLE_TOKENS.items())
    # A type with both a word and a sign (MOD and %, AND and &&) is a keyword: its text is kept.
    for text, token_type in sorted(lexed, key=lambda pair: pair[0][0].isalpha()):
        actions[token_type] = _KEYWORD if text[0].isalpha() else _SYMBOL
    for token_type in parser.TYPE_TOKENS:
        if token_type.name not in _STRUCTURAL_TYPES:
            actions[token_type] = _TYPE
    for action, names in _ACTION_TOKENS.items():
        for name in names.split():
            actions[TokenType[name]] = action
    if TokenType.MOD in parser.PLACEHOLDER_PARSERS:
        actions[TokenType.MOD] = _PARAMETER  # %s
    if tokenizer.__module__.endswith(("tsql", "fabric")):
        actions[TokenType.HASH] = _DROP  # of #temporary tables
    return actions


def _words(text: str) -> tuple[str, ...]:
    """A keyword's or sign's template tokens: upper-cased, one per word, but for the joined ones."""
    words = tuple(text.upper().split())
    joined = " ".join(words)
    return (joined,) if joined in JOINED_KEYWORDS else words


class Templatizer:
    """Turns the queries of one dialect into templates, for one thread.

    Args:
        dialect: A sqlglot dialect name.
        limits: What is rejected unparsed.
        shares_parses: Parse one query of each shape only, see ``tasks.templates.parse_sharing``.
    """

    def __init__(
        self, dialect: str, limits: Limits = DEFAULT_LIMITS, *, shares_parses: bool = False
    ) -> None:
        self.limits = limits
        self.dialect = Dialect.get_or_raise(dialect)
        rules = self.dialect.parser_class
        # Made once: making them anew takes as long as tokenising a query of ten words.
        self.tokenizer, self.parser = self.dialect.tokenizer(), self.dialect.parser()
        self.actions = _actions(self.dialect)
        # By a keyword's text as written: its template tokens, and what is to be done after it.
        self.keywords: dict[str, tuple[tuple[str, ...], _Handler | None]] = {}
        self.bare_functions = frozenset(rules.NO_PAREN_FUNCTIONS)
        self.bound_by_colon = frozenset(rules.COLON_PLACEHOLDER_TOKENS)
        self.at_operates = "@" in rules.NO_PAREN_FUNCTION_PARSERS  # DuckDB's absolute value
        self.braces_bind: bool = TokenType.L_BRACE in rules.PLACEHOLDER_PARSERS
        self.colon_is_path: bool = rules.COLON_IS_VARIANT_EXTRACT
        self.convert_type_is_first = dialect in {"tsql", "fabric", "redshift"}
        self.double_quoted_is_constant = dialect == "sqlite"
        self.has_long_names = dialect == "bigquery"
        self.has_hash_parameters = "#" not in self.dialect.tokenizer_class.COMMENTS
        self.has_sized_arrays: bool = self.dialect.SUPPORTS_FIXED_SIZE_ARRAYS
        self._shapes = Shapes(self.dialect) if shares_parses else None
        self._templates_of_shapes: dict[str, str] = {}

    def __call__(self, sql: str) -> Templated:
        """The query's template, or why it has none.

        Args:
            sql: The text of one query.

        Returns:
            The template with the text that leakage is judged by, or a reject reason; never an
            exception for what a text holds.
        """
        if not sql or sql.isspace():
            return _rejected("empty")
        if len(sql) > self.limits.max_characters:
            return _rejected(f"longer than {self.limits.max_characters:,} characters")
        shape = self._shapes.key(sql) if self._shapes and _is_plain(sql) else None
        known = self._templates_of_shapes.get(shape) if shape else None
        if known is not None:
            return Templated(known, None, _plain_text(sql.strip(ENDS)))
        text = sql
        if "##" in sql and self.has_hash_parameters:
            text = _HASH_PARAMETER.sub(_as_parameter, sql)
        try:
            tokens = self._tokenize(text)
        except TokenError:
            return _rejected("does not tokenise")
        if not tokens:
            return _rejected("empty")
        if self._nests_too_deep(sql, tokens):
            return _rejected(f"nested deeper than {self.limits.max_brackets} brackets")
        parsed = self._template_of(text, tokens)
        if parsed.template is None:
            return parsed
        if shape:
            if len(self._templates_of_shapes) >= _MAX_SHAPES:
                self._templates_of_shapes.clear()
            self._templates_of_shapes[shape] = parsed.template
        return Templated(parsed.template, None, comparable_text(sql, tokens))

    def _template_of(self, text: str, tokens: list[Token]) -> Templated:
        """The template alone, by parsing, or why there is none."""
        try:
            read, trees = self._parse(text, tokens)
        except ParseError as error:
            return _rejected(f"does not parse: {_parse_problem(error)}")
        except Exception as error:
            # A slip of the parser on broken text is that text's failure, not the run's.
            return _rejected(f"does not parse: {type(error).__name__} in the parser")
        if len(trees) != 1:
            return _rejected("more than one statement" if trees else "empty")
        tree = trees[0]
        if not _IS_STATEMENT[type(tree)]:
            kind = str(tree.this).upper() if isinstance(tree, exp.Command) else type(tree).__name__
            return _rejected(f"not a query, DML or DDL statement: {kind[:30]}")
        if len(self.limits.kinds) < len(KINDS) and (kind := _kind(tree)) not in self.limits.kinds:
            return _rejected(f"left out by kinds: {kind}")
        return Templated(" ".join(_Reader(self, text, read, tree).template()), None, None)

    def _tokenize(self, text: str) -> list[Token]:
        """The tokens without semicolons at either end."""
        tokens = self.tokenizer.tokenize(text)
        while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
            tokens.pop()
        while tokens and tokens[0].token_type == TokenType.SEMICOLON:
            del tokens[0]
        return tokens

    def _parse(self, text: str, tokens: list[Token]) -> tuple[list[Token], list[exp.Expr]]:
        """The statements, and the tokens that they were parsed from."""
        if "?" in text:
            tokens = _without_ordinals(tokens)
        try:
            trees = self.parser.parse(tokens, text)
        except ParseError:
            # A comment between its words keeps ORDER BY from being lexed as one.
            if not _has_comments(text):
                raise
            text = _blank_comments(text, tokens)
            tokens = self._tokenize(text)
            trees = self.parser.parse(tokens, text)
        return tokens, [tree for tree in trees if tree is not None]

    def _nests_too_deep(self, sql: str, tokens: list[Token]) -> bool:
        limit = self.limits.max_brackets
        if sql.count("(") + sql.count("[") + sql.count("{") <= limit:
            return False
        depth = deepest = 0
        for token in tokens:
            action = self.actions[token.token_type]
            depth += (action == _OPEN) - (action == _CLOSE)
            deepest = max(deepest, depth)
        return deepest > limit


_QUOTED: Final = re.compile("""('[^']*'|"[^"]*"|`[^`]*`)""")
_QUOTE: Final = re.compile("['\"`[$]")
_QUOTED_TOKENS: Final = f"IDENTIFIER BIT_STRING HEX_STRING BYTE_STRING {_ACTION_TOKENS[_STRING]}"
_IS_QUOTED: Final = [False] * (max(TokenType) + 1)
for _name in _QUOTED_TOKENS.split():
    _IS_QUOTED[TokenType[_name]] = True


def comparable_text(sql: str, tokens: list[Token]) -> str:
    """The text by which two queries count as the same (``exact_overlap``).

    Comments and the closing semicolon are gone, white space outside literals is one space, letters
    outside quotes are lower case.

    Args:
        sql: The query's text.
        tokens: Its tokens, without closing semicolons.
    """
    done, end = tokens[0].start, tokens[-1].end + 1
    if _is_plain(sql):
        return _plain_text(sql[done:end])
    has_comments = _has_comments(sql)
    parts: list[str] = []
    for token in tokens:
        is_quoted = _IS_QUOTED[token.token_type]
        if has_comments and token.token_type != TokenType.HINT:
            parts.append(" " if token.start > done else "")
        elif is_quoted:
            parts.append(_fold(sql[done : token.start]))
        else:
            continue
        done = token.end + 1
        text = sql[token.start : done]
        quote = _QUOTE.search(text) if is_quoted else None
        start = quote.start() if quote else len(text)
        parts.append(_fold(text[:start]) + text[start:])
    if not has_comments:
        parts.append(_fold(sql[done:end]))
    return "".join(parts).strip()


def _plain_text(text: str) -> str:
    """The same of what lies between the ends of a text that is plain."""
    if "'" not in text and '"' not in text and "`" not in text:
        return _fold(text)
    pieces = _QUOTED.split(text)
    pieces[::2] = [_fold(piece) for piece in pieces[::2]]
    return "".join(pieces)


def _is_plain(text: str) -> bool:
    """Whether what is quoted in it can be told without its tokens."""
    return not _has_comments(text) and not _has_unusual_quotes(text)


def _has_comments(text: str) -> bool:
    """Whether comments may start in it."""
    return "--" in text or "/*" in text or "#" in text or "//" in text


def _has_unusual_quotes(text: str) -> bool:
    """Whether a quote, or the lack of one, may mean something else than in ``_QUOTED``."""
    return "\\" in text or "[" in text or "$" in text or "'''" in text or '"""' in text


def _fold(text: str) -> str:
    # What stands at the ends shows if there was white space before it.
    return " ".join(f".{text}.".split())[1:-1].lower()


def _blank_comments(sql: str, tokens: list[Token]) -> str:
    """The text with spaces for all that is in no token, so that offsets stay true."""
    parts: list[str] = []
    done = 0
    for token in tokens:
        if token.token_type != TokenType.HINT:
            parts.append(" " * (token.start - done))
            done = token.end + 1
            parts.append(sql[token.start : done])
    return "".join(parts)


def _without_ordinals(tokens: list[Token]) -> list[Token]:
    """The tokens without the numbers of ``?1`` and ``?2``, which the parser does not know."""
    question, number = TokenType.PLACEHOLDER, TokenType.NUMBER
    return [
        token
        for before, token in zip([None, *tokens], tokens, strict=False)
        if token.token_type != number or before is None or before.token_type != question
    ]


def _rejected(reason: str) -> Templated:
    return Templated(None, reason, None)


# Stack Exchange's `##name##`, `##name:type##` and `##name:type?default##`.
_HASH_PARAMETER: Final = re.compile(r"##\w+(?::\w+)?(?:\?[^#\n]*)?##")


def _as_parameter(match: re.Match[str]) -> str:
    """A bind parameter that parses, of the same length, so that offsets stay true."""
    return "@" + "p" * (len(match[0]) - 1)


# Which of several missing parts the parser names first differs from process to process.
_INCOMPLETE: Final = re.compile(r"Required keyword: '\w+' missing for <class '[\w.]*?(\w+)'>")
_TOKEN_SHOWN: Final = re.compile(r" but got <Token .*")


def _parse_problem(error: ParseError) -> str:
    """What the parser missed, and where, without the query's text around it."""
    if not error.errors:
        return (str(error).splitlines() or ["unknown"])[0][:100]
    first = error.errors[0]
    description = str(first.get("description") or "unknown").splitlines()[0].rstrip(".")
    description = _TOKEN_SHOWN.sub("", _INCOMPLETE.sub(r"incomplete \1", description))
    place = f" (line {first.get('line')}, column {first.get('col')})"
    return description[:100] + place


def _start_of(node: exp.Expr) -> int:
    """A node's offset in the text; -1 where it has none."""
    start = node.meta.get("start")
    return start if isinstance(start, int) else -1  # a comment "sqlglot.meta start=x" sets it


class _Reader:
    """One pass over the tokens of one parsed query.

    Each handler takes the index of a token, appends what the template keeps of it to ``out`` and
    returns the index to go on from.
    """

    def __init__(
        self, templatizer: Templatizer, sql: str, tokens: list[Token], tree: exp.Expr
    ) -> None:
        self.templatizer = templatizer
        self.actions = templatizer.actions
        self.sql = sql
        self.tokens = tokens
        self.count = len(tokens)
        self.tree = tree
        self.is_definition = isinstance(tree, _DEFINITIONS)
        self.out: list[str] = []
        # Per open bracket: the word before it, where that matters, or the bracket itself.
        self.brackets: list[str] = [""]
        self.dropped_to = -1  # the last token of the type or parameter dropped last
        self.date_parts: set[int] = set()
        self.jumps: dict[int, int] = {}  # from a comma or bracket on over what is dropped
        # From the tree, by offset in the text: names; where names of several tokens end; names of
        # typed columns; quoted function names; strings with a type before them.
        self.names: set[int] = set()
        self.name_ends: dict[int, int] = {}
        self.typed_names: set[int] = set()
        self.function_names: set[int] = set()
        self.cast_strings: set[int] = set()
        self.alters_types = False
        self._walk(tree)
        if templatizer.has_long_names:
            self._find_long_names()

    # The tree --------------------------------------------------------------------------------

    def _walk(self, tree: exp.Expr) -> None:
        # As tree.walk(), in half of its time.
        names, kinds = self.names, _KINDS
        nodes, noted = [tree], []
        for node in nodes:
            # Nodes that know their parents wait for the collector, a fifth of all time.
            node.parent = None
            for value in node.args.values():
                if value:
                    kind = kinds[value.__class__]
                    if kind == _IDENTIFIER:
                        value.parent = None
                        if value._meta:
                            names.add(value._meta.get("start", -1))
                    elif kind == _LIST:
                        for item in value:
                            kind = kinds[item.__class__]
                            if kind == _IDENTIFIER:
                                item.parent = None
                                if item._meta:
                                    names.add(item._meta.get("start", -1))
                            elif kind == _NODE:
                                nodes.append(item)
                            elif kind == _NOTED:
                                nodes.append(item)
                                noted.append(item)
                    elif kind:
                        nodes.append(value)
                        if kind == _NOTED:
                            noted.append(value)
        for node in noted:
            self._note(node)
        names -= self.function_names

    def _note(self, node: exp.Expr) -> None:
        inner = node.this
        if type(node) is exp.Anonymous:
            if type(inner) is exp.Identifier:
                self.function_names.add(_start_of(inner))
        elif type(node) is exp.Cast:
            if type(inner) is exp.Literal:
                self.cast_strings.add(_start_of(inner))
        elif isinstance(node.args.get("kind") or node.args.get("dtype"), exp.DataType):
            self.alters_types |= type(node) is exp.AlterColumn
            named = node.args.get("rename_to") or inner
            if isinstance(named, exp.Expr):
                self.typed_names.add(
                    max(map(_start_of, named.find_all(exp.Identifier)), default=-1)
                )

    def _find_long_names(self) -> None:
        # An unquoted `my-project.tab` is several tokens, of which the tree marks the first.
        for name in self.tree.find_all(exp.Identifier):
            start = _start_of(name)
            if start >= 0 and "-" in name.this and self.sql.startswith(name.this, start):
                self.name_ends[start] = start + len(name.this) - 1
            elif start >= 0:
                self.name_ends[start] = name.meta["end"]

    # The pass --------------------------------------------------------------------------------

    def template(self) -> list[str]:
        """The template's tokens."""
        # Nearly all of the time goes here: the frequent cases stand in the loop itself.
        tokens, actions, out, brackets = self.tokens, self.actions, self.out, self.brackets
        names, jumps, keywords = self.names, self.jumps, self.templatizer.keywords
        special_names = self.typed_names or self.name_ends
        variable, opening = TokenType.VAR, TokenType.L_PAREN
        last, go_on = self.count - 1, 0
        for i, token in enumerate(tokens):
            if i < go_on:
                continue
            action = actions[token.token_type]
            if action >= _KEYWORD:
                if token.start in names:
                    if special_names:
                        go_on = self._special_name(i)
                elif action == _KEYWORD:
                    text = token.text
                    known = keywords.get(text)
                    if known is None:
                        is_word = token.token_type != TokenType.UNKNOWN or text.isalpha()
                        words = _words(text) if is_word else ()  # a sign that no dialect has
                        known = keywords[text] = words, _AFTER.get(text.upper())
                    out += known[0]
                    if known[1] is not None:
                        go_on = known[1](self, i)
                elif (
                    i < last
                    and tokens[i + 1].token_type == opening
                    and token.token_type == variable
                    and token.text.isidentifier()
                ):
                    out.append(token.text.upper())
                elif action == _NAME:
                    go_on = self._leftover(i)
                else:
                    go_on = self._type(i)
            elif action == _SYMBOL:
                out.append(_NORMALISED_SYMBOLS.get(token.text, token.text))
            elif action == _COMMA:
                out.append(",")
                go_on = jumps.get(i, go_on)
            elif action == _OPEN:
                if token.text == "(" and tokens[i - 1].text.upper() not in _OPENERS:
                    out.append("(")
                    brackets.append("(")
                else:
                    go_on = self._open(i)
            elif action == _CLOSE:
                out.append(token.text)
                if len(brackets) > 1:
                    brackets.pop()
                go_on = jumps.get(i, go_on)
            elif action > _CLOSE:
                go_on = _HANDLERS[action](self, i)
            elif special_names and token.start in special_names:
                go_on = self._special_name(i)  # CREATE TABLE t ('a' INT)
        return out

    # Looking around --------------------------------------------------------------------------

    def _action(self, i: int) -> int:
        return self.actions[self.tokens[i].token_type] if 0 <= i < self.count else -1

    def _text(self, i: int) -> str:
        return self.tokens[i].text.upper() if 0 <= i < self.count else ""

    def _is_name(self, i: int) -> bool:
        return 0 <= i < self.count and self.tokens[i].start in self.names

    def _is_word(self, i: int) -> bool:
        if self._action(i) not in (_KEYWORD, _NAME, _TYPE, _AS):
            return False
        token = self.tokens[i]
        return token.token_type == TokenType.IDENTIFIER or token.text[0].isalpha()

    def _is_type(self, i: int) -> bool:
        return self._action(i) == _TYPE and not self._is_name(i)

    def _is_number(self, i: int) -> bool:
        return 0 <= i < self.count and self.tokens[i].token_type == TokenType.NUMBER

    def _opens(self, i: int) -> bool:
        return i < self.count and self.tokens[i].token_type == TokenType.L_PAREN

    def _ends_operand(self, i: int) -> bool:
        """Whether a sign after token ``i`` has its left operand there."""
        if i < 0:
            return False
        if i == self.dropped_to or self._is_name(i):
            return True
        action = self._action(i)
        if action == _KEYWORD:
            return (
                self.tokens[i].token_type in self.templatizer.bare_functions
                or self._text(i) in ("END", "NULL")
                or self._text(i) in DATE_PARTS
            )
        if action == _NAME:
            return self._text(i) not in TEXT_KEYWORDS
        if action == _TYPE:
            return self._text(i) in DATE_PARTS
        return action in (_LITERAL, _STRING, _CLOSE)

    def _closing(self, i: int) -> int:
        """The index of the bracket that closes the one at ``i``; the last token where none does."""
        depth = 0
        for j in range(i, self.count):
            action = self._action(j)
            depth += (action == _OPEN) - (action == _CLOSE)
            if depth == 0:
                return j
        return self.count - 1

    def _commas(self, i: int) -> list[int]:
        """The commas between the arguments in the bracket that opens at ``i``."""
        depth = 0
        commas: list[int] = []
        for j in range(i, self._closing(i)):
            action = self._action(j)
            depth += (action == _OPEN) - (action == _CLOSE)
            if depth == 1 and action == _COMMA:
                commas.append(j)
        return commas

    # Words -----------------------------------------------------------------------------------

    def _special_name(self, i: int) -> int:
        """A name that may be of several tokens, or have a type behind it."""
        start = self.tokens[i].start
        end = self.name_ends.get(start, start)
        i += 1
        while i < self.count and self.tokens[i].start <= end:
            i += 1
        return self._column_type_end(i) if start in self.typed_names else i

    def _leftover(self, i: int) -> int:
        """A variable or quoted word that the tree does not hold as a name."""
        token = self.tokens[i]
        word = token.text.upper()
        if token.token_type == TokenType.IDENTIFIER:
            if token.start in self.function_names:
                function = word.rpartition(".")[2]
                self.out += [function] if function.isidentifier() else []
            return i + 1
        if not (
            word in TEXT_KEYWORDS
            or word in DATE_PARTS
            or word in BARE_FUNCTIONS
            or i in self.date_parts
            or self._text(i - 1) in PAIRED_KEYWORDS.get(word, ())
            or (word in DDL_KEYWORDS and self.is_definition)
            or (self._opens(i + 1) and re.sub("[$#@]", "_", word).isidentifier())
        ):
            return i + 1
        self.out.append(word)
        after = _AFTER.get(word)
        return after(self, i) if after else i + 1

    def _type(self, i: int) -> int:
        """A word lexed as a type: a typed literal's type, or else a function or keyword."""
        end = self._type_end(i)
        if self._action(end) == _STRING and (
            end == i + 1 or self.tokens[end].start in self.cast_strings
        ):
            return end
        if self._text(i + 1) == "<" or self._casts_without_brackets(i, end):
            return end
        self.dropped_to = -1
        self.out += _words(self.tokens[i].text)
        return i + 1

    def _casts_without_brackets(self, i: int, end: int) -> bool:
        """MySQL's ``BINARY name``; types without a name in ``CREATE FUNCTION f(INT, INT)``."""
        if self.is_definition and self._action(i - 1) in (_COMMA, _OPEN):
            return self._action(end) in (_COMMA, _CLOSE)
        return self._text(i) == "BINARY" and self._is_name(i + 1)

    def _unkeep(self, i: int) -> None:
        """Takes back the word at ``i``, which turns out to be a name that the tree lacks."""
        if i < 0 or i == self.dropped_to or self._is_name(i):
            return
        if self._action(i) in (_KEYWORD, _NAME, _TYPE):
            words = _words(self.tokens[i].text)
            if tuple(self.out[-len(words) :]) == words:
                del self.out[-len(words) :]

    # After certain keywords --------------------------------------------------------------------

    def _after_generic(self, i: int) -> int:
        if self._text(i + 1) != "<":
            return i + 1
        self.out.pop()
        return self._type_end(i)

    def _after_values(self, i: int) -> int:
        """Finds the rows of an INSERT's VALUES at ``i``, of which the first one is kept."""
        if self._opens(i + 1) and self._inserts(i):
            first = last = self._closing(i + 1)
            while self._action(last + 1) == _COMMA and self._opens(last + 2):
                last = self._closing(last + 2)
            self.jumps[first] = last + 1
        return i + 1

    def _inserts(self, i: int) -> bool:
        depth = 0
        for j in range(i - 1, -1, -1):
            action = self._action(j)
            depth += (action == _CLOSE) - (action == _OPEN)
            if depth < 0:
                return False
            if depth == 0 and action == _KEYWORD:
                word = self._text(j)
                if word in ("INSERT", "REPLACE"):
                    return True
                if word in ("SELECT", "FROM"):
                    return False
        return False

    def _after_naming(self, i: int) -> int:
        """COLLATE and CHARACTER SET, in definitions with an equals sign."""
        if self._text(i + 1) == "=":
            self.out.append("=")
            i += 1
        return self._name_end(i + 1)

    def _after_set(self, i: int) -> int:
        return self._after_naming(i) if self._text(i - 1) == "CHARACTER" else i + 1

    def _after_using(self, i: int) -> int:
        return self._name_end(i + 1) if self.brackets[-1] in CHARACTER_SET_FUNCTIONS else i + 1

    def _after_returns(self, i: int) -> int:
        return i + 1 if self._text(i + 1) == "TABLE" else self._type_end(i + 1)

    def _after_returning(self, i: int) -> int:
        return self._type_end(i + 1) if self._is_type(i + 1) else i + 1

    def _after_type(self, i: int) -> int:
        return self._type_end(i + 1) if self.alters_types else i + 1

    # Signs -----------------------------------------------------------------------------------

    def _open(self, i: int) -> int:
        bracket = self.tokens[i].text
        if bracket == "{" and self._parameter_end(i) > i:
            return self._parameter(i)
        self.out.append(bracket)
        before = self._text(i - 1)
        if bracket != "(" or before not in _OPENERS or self._is_name(i - 1):
            self.brackets.append(bracket)
            return i + 1
        if before == "IN":
            end = self._constants_end(i)
            if end:
                self.out.append(")")
                return end + 1
        elif before in DATE_FUNCTIONS:
            self._find_date_part(i, before)
        elif before == "EXTRACT" and self._text(i + 2) == "FROM":
            self._take_date_part(i + 1)
        self.brackets.append(before)
        if before in CONVERT_FUNCTIONS:
            if self.templatizer.convert_type_is_first:
                return self._type_end(i + 1)
            for comma in self._commas(i)[:1]:
                self.jumps[comma] = self._type_end(comma + 1)
        return i + 1

    def _as(self, i: int) -> int:
        return self._type_end(i + 1, is_cast=True) if self.brackets[-1] in CAST_FUNCTIONS else i + 1

    def _double_colon(self, i: int) -> int:
        self.out.append(self.tokens[i].text)
        return self._type_end(i + 1)

    def _dash(self, i: int) -> int:
        number = self._is_number(i + 1) or (self._action(i + 1) == _DOT and self._is_number(i + 2))
        if not number or self._ends_operand(i - 1):
            self.out.append("-")
        return i + 1

    def _angle(self, i: int) -> int:
        """A comparison; or a shift, lexed as two because it could close two types."""
        text = self.tokens[i].text
        shifts = self._text(i + 1) == text
        self.out.append(text * 2 if shifts else text)
        return i + 2 if shifts else i + 1

    def _not(self, i: int) -> int:
        """An exclamation mark, lexed apart from the tilde of ``!~`` and ``!~*``."""
        if self._text(i + 1).startswith("~") and self._ends_operand(i - 1):
            self.out[-1] += self._text(i + 1)
            return i + 2
        return i + 1

    def _dot(self, i: int) -> int:
        """A dot: words on both sides are names, also those that the tree does not hold."""
        if self._is_number(i + 1):
            return i + 2
        if i and self.tokens[i - 1].end + 1 == self.tokens[i].start:
            self._unkeep(i - 1)
        if not self._is_word(i + 1) or self._is_name(i + 1) or self._opens(i + 2):
            return i + 1
        self.dropped_to = i + 1
        return i + 2

    def _argument(self, i: int) -> int:
        """The sign after a named argument, or an assignment."""
        self._unkeep(i - 1)
        self.out.append(self.tokens[i].text)
        return i + 1

    def _parameter(self, i: int) -> int:
        """The sign of a bind parameter; or an operator, where an operand stands before it."""
        end = self._parameter_end(i)
        if end > i:
            self.dropped_to = end - 1
            # CREATE PROCEDURE p (@x INT)
            return self._type_end(end) if self.is_definition and self._is_type(end) else end
        text = self.tokens[i].text
        if text != ":":
            self.out.append(text)
            return i + 1
        if self.brackets[-1] == "{":
            self._unkeep(i - 1)
        self.out.append(text)
        # A key of a JSON path, spelled like anything; further keys touch a dot.
        return self._name_end(i + 1) if self.templatizer.colon_is_path else i + 1

    def _parameter_end(self, i: int) -> int:
        """Past the bind parameter at ``i``; ``i`` where there is none."""
        text, after = self.tokens[i].text, self._action(i + 1)
        if text == "{":
            is_one = self.templatizer.braces_bind and after in (_NAME, _KEYWORD, _TYPE)
            return self._closing(i) + 1 if is_one else i
        if self._action(i) != _PARAMETER:
            return i
        if text == "@" and self.templatizer.at_operates:
            return i
        if text == "?":
            return i if self._ends_operand(i - 1) else i + 1
        if text == "%":
            if self._ends_operand(i - 1):
                return i
            end = self._closing(i + 1) + 1 if self._opens(i + 1) else i + 1
            return end + 1 if self._text(end) == "S" else end
        if text == ":":
            binds = i + 1 < self.count and (
                self.tokens[i + 1].token_type in self.templatizer.bound_by_colon
            )
            return i if not binds or self._ends_operand(i - 1) else self._name_end(i + 1)
        while text == "@" and self._text(i + 1) == "@":
            i += 1
        if self._text(i + 1) == "{":
            return self._closing(i + 1) + 1
        return self._name_end(i + 1)

    # Date parts ------------------------------------------------------------------------------

    def _find_date_part(self, i: int, function: str) -> None:
        """Finds the date part of a function whose bracket opens at ``i``.

        The tree takes it for a column where its dialect has no such function, and can take a column
        for it where both have such names.
        """
        if self._action(i + 1) == _STRING:
            return  # the date part
        commas = self._commas(i)
        if len(commas) + 1 < DATE_FUNCTIONS[function]:
            return
        closing = self._closing(i)
        candidates = [
            j
            for j, neighbour in ((i + 1, i + 2), (closing - 1, closing - 2))
            if self._action(neighbour) == _COMMA
            and self.tokens[j].token_type != TokenType.IDENTIFIER
            and self._can_be_date_part(j, function)
        ]
        if candidates:
            chosen = min(candidates, key=self._is_unlike_a_date_part)
            self._take_date_part(chosen)
            for j in candidates:
                if j != chosen:
                    self.names.add(self.tokens[j].start)

    def _can_be_date_part(self, i: int, function: str) -> bool:
        if self._text(i) not in SHORT_DATE_PARTS:
            return self._text(i) in DATE_PARTS
        # DATEDIFF(d, a, b), but not DATE_TRUNC(d, WEEK(MONDAY))
        return "_" not in function or not self._is_name(i)

    def _is_unlike_a_date_part(self, i: int) -> tuple[bool, bool]:
        return self._is_name(i), self._text(i) in SHORT_DATE_PARTS

    def _take_date_part(self, i: int) -> None:
        if self.tokens[i].text.isidentifier():
            self.names.discard(self.tokens[i].start)
            self.date_parts.add(i)

    # Spans -----------------------------------------------------------------------------------

    def _name_end(self, i: int) -> int:
        """Past the name or number at ``i``, if there is one, with its dotted parts."""
        if self._action(i) in (_NAME, _KEYWORD, _TYPE, _LITERAL, _STRING, _AS):
            i += 1
            while self._action(i) == _DOT and i + 1 < self.count and not self._opens(i + 2):
                i += 2
            self.dropped_to = i - 1
        return i

    def _column_type_end(self, i: int) -> int:
        """Past the type at ``i`` of a column, unless it comes after another keyword."""
        is_set_type = self._opens(i + 1)  # SET('a', 'b')
        if self._text(i) in ("TYPE", "SET") and not is_set_type:
            return i
        return self._type_end(i, is_column=True)

    def _type_end(self, i: int, *, is_cast: bool = False, is_column: bool = False) -> int:
        """Past the type whose name starts at ``i``, with its parameters, fields and brackets."""
        if self._action(i) not in (_NAME, _KEYWORD, _TYPE):
            return i
        word = self._text(i)
        i += 1
        while i + 1 < self.count and self._action(i) == _DOT:
            word = self._text(i + 1)
            i += 2
        while self._text(i) in TYPE_FOLLOWERS.get(word, ()):
            word = self._text(i)
            i += 1
        while word == "INTERVAL" and (self._text(i) in DATE_PARTS or self._text(i) == "TO"):
            i += 1
        if self._text(i) == "<":
            i = self._generics_end(i)
        elif self._opens(i):
            i = self._closing(i) + 1
        while self._text(i) in ("UNSIGNED", "SIGNED", "VARYING"):
            i += 1
        for words in _TIME_ZONES:
            if all(self._text(i + k) == word for k, word in enumerate(words)):
                i += len(words)
        if is_cast and self._text(i) in ("CHARACTER SET", "CHARSET"):
            i = self._name_end(i + 1)
        elif is_cast and self._text(i) == "CHARACTER" and self._text(i + 1) == "SET":
            i = self._name_end(i + 2)
        i = self._array_end(i, is_column or self.templatizer.has_sized_arrays)
        self.dropped_to = i - 1
        return i

    def _array_end(self, i: int, may_have_size: bool) -> int:
        """Past the brackets at ``i`` that make the type before them an array's."""
        while True:
            if self._text(i) in ("ARRAY", "LIST"):
                may_have_size = True
                i += 1
            elif self._text(i) == "[" and self._text(i + 1) == "]":
                i += 2
            elif self._text(i) == "[" and self._text(i + 2) == "]" and may_have_size:
                i += 3
            else:
                return i

    def _generics_end(self, i: int) -> int:
        depth = 0
        for j in range(i, self.count):
            text = self.tokens[j].text
            if set(text) <= {"<"}:
                depth += len(text)
            elif set(text) <= {">"}:
                depth -= len(text)
                if depth <= 0:
                    return j + 1
        return i

    def _constants_end(self, i: int) -> int:
        """The closing bracket of an IN list of constants only that opens at ``i``; 0 for others."""
        depth = 0
        expected = True  # a constant, or the bracket before one
        while i < self.count:
            action = self._action(i)
            if action == _OPEN and self._opens(i) and expected:
                depth += 1
                i += 1
            elif action == _CLOSE:
                depth -= 1
                if depth == 0:
                    return i
                expected = False
                i += 1
            elif action == _COMMA:
                expected = True
                i += 1
            else:
                end = self._constant_end(i)
                # Adjacent strings are one.
                if end == i or not (expected or action == self._action(i - 1) == _STRING):
                    return 0
                expected = False
                i = end
        return 0

    def _constant_end(self, i: int) -> int:
        """Past the constant at ``i``; ``i`` where there is none."""
        token = self.tokens[i]
        action = self._action(i)
        if action == _DASH or token.token_type == TokenType.PLUS:
            end = i + 1 if self._action(i + 1) != _DOT else i + 2
            return end + 1 if self._is_number(end) else i
        if action == _DOT:
            return i + 2 if self._is_number(i + 1) else i
        if token.token_type == TokenType.INTRODUCER:
            return i + 2
        if action in (_LITERAL, _STRING) or token.token_type == TokenType.NULL:
            return i + 1
        if self._is_type(i):
            end = self._type_end(i)
            return end + 1 if self._action(end) == _STRING else i
        if action == _NAME and self.templatizer.double_quoted_is_constant:
            # SQLite takes a word in double quotes for a string if there is no such column.
            return i + 1 if self.sql[token.start] == '"' else i
        return self._parameter_end(i)


_Handler = Callable[[_Reader, int], int]

_HANDLERS: Final[dict[int, _Handler]] = {
    _DASH: _Reader._dash,
    _DOT: _Reader._dot,
    _AS: _Reader._as,
    _ANGLE: _Reader._angle,
    _ARGUMENT: _Reader._argument,
    _DCOLON: _Reader._double_colon,
    _PARAMETER: _Reader._parameter,
}

_AFTER: Final[dict[str, _Handler]] = {
    **dict.fromkeys(("ARRAY", "STRUCT", "MAP", "RANGE"), _Reader._after_generic),
    **dict.fromkeys(("COLLATE", "CHARACTER SET", "CHARSET"), _Reader._after_naming),
    "SET": _Reader._after_set,
    "VALUES": _Reader._after_values,
    "USING": _Reader._after_using,
    "RETURNS": _Reader._after_returns,
    "RETURNING": _Reader._after_returning,
    "TYPE": _Reader._after_type,
    "!": _Reader._not,
}
"""What is to be done after a keyword."""
