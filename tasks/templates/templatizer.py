"""From the text of a query to its template (specification, section 2).

A template is read off the tokens of its query, in their order; nothing is generated back from the
parse tree, so a template keeps the form in which its query was written. Each text goes this way:

1. ``Templatizer`` tokenizes and parses it once, and rejects it if either fails or if it is not a
   single query, DML or DDL statement. Before, placeholders of query tools are replaced
   (``tasks.templates.placeholders``), and functions on which the parser would go back too often are
   marked (``tasks.templates.nested_types``). If the text does not parse, clauses that the parser
   does not know are removed from its input (``tasks.templates.unknown_syntax``).
2. ``tasks.templates.tree_marks`` walks the tree, and marks the tokens that the parser took for
   names, and where it found types.
3. ``tasks.templates.template_reader`` passes over the tokens. What becomes of each follows from its
   type (``tasks.templates.dialect_rules``), from its marks, and for words that neither decides from
   its spelling (``tasks.templates.keywords``) and its neighbors.

Queries that differ in names and literals only share one parse (``tasks.templates.parse_sharing``).
"""

import logging
import re
from typing import Final, NamedTuple

from sqlglot import exp
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from nl2sql_align.tasks.ingest.statements import KINDS, Kind
from nl2sql_align.tasks.templates.commands import explain_reject
from nl2sql_align.tasks.templates.comparable_text import (
    comparable_text,
    has_comments,
    is_plain,
    plain_comparable_text,
)
from nl2sql_align.tasks.templates.dialect_rules import CLOSE, OPEN, DialectRules
from nl2sql_align.tasks.templates.loose_ends import find_loose_end
from nl2sql_align.tasks.templates.nested_types import MOST_LEVELS, mark_functions
from nl2sql_align.tasks.templates.parse_sharing import ENDS, ShapeKeys
from nl2sql_align.tasks.templates.placeholders import Placeholders, mentions_placeholder
from nl2sql_align.tasks.templates.rules import (
    DEFAULT_LIMITS,
    NODES_PER_TOKEN,
    NOT_A_QUERY,
    SEVERAL_STATEMENTS,
    TOO_MANY_ATTEMPTS,
    Limits,
)
from nl2sql_align.tasks.templates.template_reader import TemplateReader
from nl2sql_align.tasks.templates.unknown_syntax import Rewritten, UnknownSyntax

# Silences "contains unsupported syntax, falling back to Command": such queries are rejected.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)

_LEFT_OUT: Final = "left out by kinds"
# Bounds the memory of a process: a shape takes some hundred bytes.
_MAX_SHAPES: Final = 200_000


class Templated(NamedTuple):
    """A query's template and comparable text, or the reason why it has none."""

    template: str | None
    reject_reason: str | None
    comparable_text: str | None


_DEFINITIONS: Final = (exp.Create, exp.Drop, exp.Alter, exp.TruncateTable)
_CHANGES: Final = (exp.Insert, exp.MultitableInserts, exp.Update, exp.Delete, exp.Merge)
_STATEMENTS: Final = (exp.Query, exp.Values, exp.Pivot, *_CHANGES, *_DEFINITIONS)


class _GivenUp(Exception):
    """The parser reads parts of the query again and again."""


class _Statements(dict[type, bool]):
    def __missing__(self, key: type) -> bool:
        self[key] = issubclass(key, _STATEMENTS)
        return self[key]


_IS_STATEMENT: Final = _Statements()
# Queries, DML and DDL that the parser passes on unparsed if it does not know their form.
_UNKNOWN_FORM: Final = re.compile(
    r"(?:DELETE|INSERT|MERGE|REPLACE|SELECT|TRUNCATE|UPDATE|WITH)\b"
    r"|(?:ALTER|CREATE|DROP)(?:\s+\w+){0,4}?\s+(?:INDEX|TABLE|VIEW)\b",
    re.IGNORECASE,
)


def _is_incomplete(tree: exp.Expr) -> bool:
    """Return whether a parsed statement changes nothing, as in ``Update the list``."""
    if isinstance(tree, exp.Update):
        changes = tree.args.get("expressions")
        return not changes or any(type(change) is exp.Column for change in changes)
    names = ("expression", "default", "source")
    return isinstance(tree, exp.Insert) and not any(tree.args.get(name) for name in names)


def _kind_of(tree: exp.Expr) -> Kind:
    if isinstance(tree, _DEFINITIONS):
        return "ddl"
    return "dml" if isinstance(tree, _CHANGES) else "query"


class Templatizer:
    """Turns the queries of one dialect into templates, for one thread.

    Args:
        dialect: A sqlglot dialect name.
        limits: Which queries to reject unparsed.
        shares_parses: Parse only one query of each shape, see ``tasks.templates.parse_sharing``.
    """

    def __init__(
        self, dialect: str, limits: Limits = DEFAULT_LIMITS, *, shares_parses: bool = False
    ) -> None:
        self._limits = limits
        self._rules = DialectRules(dialect)
        # Reused, because making them takes as long as tokenizing a query of ten words.
        self._tokenizer = self._rules.dialect.tokenizer()
        self._parser = self._rules.dialect.parser()
        # Athena's parser passes each statement on to one of two others.
        inner = (getattr(self._parser, f"_{name}_parser", None) for name in ("hive", "trino"))
        self._parsers = [self._parser, *(parser for parser in inner if parser is not None)]
        self._placeholders = Placeholders(self._rules.dialect)
        self._unknown_syntax = UnknownSyntax(self._rules.dialect)
        self._shape_keys = ShapeKeys(self._rules.dialect) if shares_parses else None
        self._templates_of_shapes: dict[str, str] = {}
        self._shapes_given_up: set[str] = set()

    def __call__(self, sql: str) -> Templated:
        """Return the query's template, or the reason why it has none.

        Args:
            sql: The text of one query.

        Returns:
            The template with the text that leakage is judged by, or a reject reason. No text
            raises an exception.
        """
        if not sql or sql.isspace():
            return _rejected("empty")
        if len(sql) > self._limits.max_characters:
            return _rejected(f"longer than {self._limits.max_characters:,} characters")
        may_have_placeholders = mentions_placeholder(sql)
        shape = None
        if self._shape_keys and not may_have_placeholders and is_plain(sql):
            shape = self._shape_keys.key_of(sql)
        known = self._templates_of_shapes.get(shape) if shape else None
        if known is not None:
            return Templated(known, None, plain_comparable_text(sql.strip(ENDS)))
        if shape in self._shapes_given_up:
            return _rejected(TOO_MANY_ATTEMPTS)
        text = sql
        if "##" in sql and self._rules.has_hash_parameters:
            text = _HASH_PARAMETER.sub(_bind_parameter, sql)
        if may_have_placeholders:
            templated = self._fill_and_templatize(sql, text)
        else:
            templated = self._templatize(sql, text)
        if templated.reject_reason is not None:
            if shape and templated.reject_reason == TOO_MANY_ATTEMPTS:
                self._shapes_given_up.add(shape)
            return _rejected(explain_reject(sql, templated.reject_reason))
        if shape and templated.template is not None:
            if len(self._templates_of_shapes) >= _MAX_SHAPES:
                self._templates_of_shapes.clear()
            self._templates_of_shapes[shape] = templated.template
        return templated

    def _fill_and_templatize(self, sql: str, text: str) -> Templated:
        """Return the template of a query that may have placeholders."""
        reasons: list[Templated] = []
        for filled in self._placeholders.fill(text):
            templated = self._templatize(filled.as_written, filled.text, filled.values)
            if _is_settled(templated):
                return templated
            reasons.append(templated)
        templated = self._templatize(sql, text)
        is_sql = templated.template is not None and not (reasons and _has_braces(templated))
        return templated if is_sql or not reasons else reasons[0]

    def _templatize(self, sql: str, text: str, values: frozenset[int] = frozenset()) -> Templated:
        """Return the template of a text, and the comparable text of the query as written."""
        try:
            tokens = self._tokenize(text)
            if not tokens:
                return _rejected("empty")
            if self._nests_too_deep(text, tokens):
                return _rejected(f"nested deeper than {self._limits.max_brackets} brackets")
            templated = self._parse_template(text, tokens, values)
        except TokenError:  # also of the text without its comments
            return _rejected("does not tokenize")
        if templated.template is None:
            return templated
        return Templated(templated.template, None, comparable_text(sql, tokens))

    def _parse_template(self, text: str, tokens: list[Token], values: frozenset[int]) -> Templated:
        """Return the template without a comparable text, or a reject reason.

        Args:
            text: The text for the parser.
            tokens: Its tokens.
            values: Offsets of names that stand for values.
        """
        # The parser reads some pipe operators wrong, which the rules for unknown syntax correct.
        found = None if "|>" in text else self._parse_as_is(text, tokens, values)
        if found is not None and _is_settled(found):
            return found
        if has_comments(text):
            # A comment between its words keeps ORDER BY from being lexed as one token.
            text = _blank_comments(text, tokens)
            tokens = self._tokenize(text)
            found = None if found is None else self._parse_as_is(text, tokens, values)
            if found is not None and _is_settled(found):
                return found
        tokens = _replace_numbered_parameters(text, tokens)
        rewritten = self._unknown_syntax.rewrite(text, tokens)
        if rewritten is not None:
            with_rules = self._parse_as_is(text, rewritten.parsed, values, rewritten)
            if _is_settled(with_rules):
                return with_rules
        return found or self._parse_as_is(text, tokens, values)

    def _parse_as_is(
        self,
        text: str,
        tokens: list[Token],
        values: frozenset[int],
        rewritten: Rewritten | None = None,
    ) -> Templated:
        try:
            tokens, trees = self._parse(text, tokens)
        except _GivenUp:
            return _rejected(TOO_MANY_ATTEMPTS)
        except ParseError as error:
            return _rejected(f"does not parse: {_parse_problem(error)}")
        except Exception as error:
            # Broken text can trip the parser: that rejects the text, and must not end the run.
            return _rejected(f"does not parse: {type(error).__name__} in the parser")
        if len(trees) != 1:
            return _rejected(SEVERAL_STATEMENTS if trees else "empty")
        fault = self._find_fault(trees[0], is_rewritten=rewritten is not None)
        if fault is not None:
            return _rejected(fault)
        return self._read(text, tokens, trees[0], values, rewritten)

    def _find_fault(self, tree: exp.Expr, is_rewritten: bool) -> str | None:
        """Return the reason to reject a parsed statement; None if it may have a template."""
        if not _IS_STATEMENT[type(tree)]:
            if not isinstance(tree, exp.Command):
                return f"{NOT_A_QUERY}{type(tree).__name__}"
            word = str(tree.this).upper()[:30]
            if _UNKNOWN_FORM.match(f"{word} {tree.expression}"):
                return f"does not parse: a form of {word} that the parser does not know"
            return f"{NOT_A_QUERY}{word}"
        if type(tree) is not exp.Select and not is_rewritten and _is_incomplete(tree):
            return f"does not parse: incomplete {type(tree).__name__}"
        kinds = self._limits.kinds
        if len(kinds) < len(KINDS) and (kind := _kind_of(tree)) not in kinds:
            return f"{_LEFT_OUT}: {kind}"
        return None

    def _read(
        self,
        text: str,
        tokens: list[Token],
        tree: exp.Expr,
        values: frozenset[int],
        rewritten: Rewritten | None,
    ) -> Templated:
        """Return the template of a parsed statement, without a comparable text."""
        reader = TemplateReader(
            self._rules,
            text,
            rewritten.tokens if rewritten else tokens,
            tree,
            is_definition=isinstance(tree, _DEFINITIONS),
        )
        if values:
            reader.know(names=values, values=values)
        if rewritten:
            reader.know(names=rewritten.names, keywords=rewritten.keywords)
        is_change = type(tree) is not exp.Select and isinstance(tree, _CHANGES)
        if is_change or (self._rules.reserves_default and "DEFAULT" in text.upper()):
            reader.keep_defaults()
        reserved = self._rules.reserved_functions
        if reserved is not None and reserved.search(text):
            reader.keep_functions(reserved)
        problem = find_loose_end(
            reader.tokens,
            reader.names,
            has_stages=self._rules.has_stages,
            allows_trailing_commas=self._rules.allows_trailing_commas,
        )
        if problem is not None:
            return _rejected(f"does not parse: {problem}")
        return Templated(" ".join(reader.read()), None, None)

    def _tokenize(self, text: str) -> list[Token]:
        """Return the tokens without semicolons at either end."""
        tokens = self._tokenizer.tokenize(text)
        while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
            tokens.pop()
        while tokens and tokens[0].token_type == TokenType.SEMICOLON:
            del tokens[0]
        if len(tokens) == 2 and tokens[0].token_type == TokenType.REPLACE:
            # Lexed as a command, with all that follows in one token.
            start = tokens[0].start
            tokens = [
                tokens[0],
                *self._tokenize(f"{text[:start]}INSERT {text[start + len('REPLACE') :]}")[1:],
            ]
        if self._rules.has_number_suffixes:
            tokens = _without_suffixes(tokens)
        return tokens if self._rules.has_safe_casts else _split_casts(text, tokens)

    def _parse(self, text: str, tokens: list[Token]) -> tuple[list[Token], list[exp.Expr]]:
        """Return the tokens that were parsed, and a tree for each statement."""
        if "?" in text:
            tokens = _without_ordinals(tokens)
        tokens = _replace_numbered_parameters(text, tokens)
        has_levels = text.count("(") + text.count("[") > MOST_LEVELS
        shown = mark_functions(tokens, self._parser.TYPE_TOKENS) if has_levels else tokens
        if shown is None:
            raise _GivenUp
        limit = self._limits.max_nodes + NODES_PER_TOKEN * len(tokens)
        for parser in self._parsers:
            parser.reset()
            parser.max_nodes = limit
        try:
            trees = self._parser.parse(shown, text)
        finally:
            # The parser may take its own error for a reason to read the text in another way.
            if any(parser._node_count > limit for parser in self._parsers):
                raise _GivenUp
        return tokens, [tree for tree in trees if tree is not None]

    def _nests_too_deep(self, sql: str, tokens: list[Token]) -> bool:
        limit = self._limits.max_brackets
        if sql.count("(") + sql.count("[") + sql.count("{") <= limit:
            return False
        depth = deepest = 0
        for token in tokens:
            action = self._rules.actions[token.token_type]
            depth += (action == OPEN) - (action == CLOSE)
            deepest = max(deepest, depth)
        return deepest > limit


def _is_settled(templated: Templated) -> bool:
    """Return whether a text need not be read in another way: it is SQL, or takes too long."""
    reason = templated.reject_reason
    return reason is None or reason == TOO_MANY_ATTEMPTS or reason.startswith(_LEFT_OUT)


def _has_braces(templated: Templated) -> bool:
    """Return whether a template still has the braces of a placeholder."""
    return "{ {" in (templated.template or "")


def _rejected(reason: str) -> Templated:
    return Templated(None, reason, None)


def _blank_comments(sql: str, tokens: list[Token]) -> str:
    """Replace everything outside tokens by spaces, which keeps the tokens' offsets."""
    parts: list[str] = []
    done = 0
    for token in tokens:
        if token.token_type != TokenType.HINT:
            parts.append(" " * (token.start - done))
            done = token.end + 1
            parts.append(sql[token.start : done])
    return "".join(parts)


def _split_casts(text: str, tokens: list[Token]) -> list[Token]:
    """Divide ``?::``, a bind parameter with a cast, which is lexed as one operator."""
    if "?::" not in text:
        return tokens
    divided = []
    for token in tokens:
        if token.token_type == TokenType.QDCOLON:
            for kind, sign, start in (
                (TokenType.PLACEHOLDER, "?", token.start),
                (TokenType.DCOLON, "::", token.start + 1),
            ):
                end = start + len(sign) - 1
                divided.append(Token(kind, sign, token.line, token.col, start, end))
        else:
            divided.append(token)
    return divided


def _without_suffixes(tokens: list[Token]) -> list[Token]:
    """Drop the cast that ``5L`` is lexed as: all three tokens have the place of the number."""
    return [
        token
        for before, token in zip([None, *tokens], tokens, strict=False)
        if before is None or token.start != before.start or token.end != before.end
    ]


def _without_ordinals(tokens: list[Token]) -> list[Token]:
    """Drop the numbers of ``?1`` and ``?2``, which the parser does not know."""
    question, number = TokenType.PLACEHOLDER, TokenType.NUMBER
    return [
        token
        for before, token in zip([None, *tokens], tokens, strict=False)
        if token.token_type != number or before is None or before.token_type != question
    ]


# Oracle's `:1`. After an operand, or in brackets, a colon is something else.
_NUMBERED_PARAMETER: Final = re.compile(r":\d")
_BEFORE_PARAMETER: Final = frozenset(
    TokenType[name]
    for name in "EQ NEQ LT LTE GT GTE COMMA L_PAREN PLUS DASH STAR SLASH DPIPE LIKE BETWEEN AND OR "
    "NOT THEN ELSE WHEN SELECT LIMIT OFFSET FETCH".split()
)


def _replace_numbered_parameters(text: str, tokens: list[Token]) -> list[Token]:
    """Write ``?`` for ``:1`` and ``:2``, which most dialects of the parser do not know."""
    if not _NUMBERED_PARAMETER.search(text):
        return tokens
    replaced: list[Token] = []
    for token in tokens:
        if (
            token.token_type == TokenType.NUMBER
            and len(replaced) > 1
            and replaced[-1].token_type == TokenType.COLON
            and replaced[-1].end + 1 == token.start
            and replaced[-2].token_type in _BEFORE_PARAMETER
        ):
            colon = replaced.pop()
            token = Token(TokenType.PLACEHOLDER, "?", colon.line, colon.col, colon.start, token.end)
        replaced.append(token)
    return replaced


# Stack Exchange's `##name##`, `##name:type##` and `##name:type?default##`.
_HASH_PARAMETER: Final = re.compile(r"##\w+(?::\w+)?(?:\?[^#\n]*)?##")


def _bind_parameter(match: re.Match[str]) -> str:
    """Return a bind parameter that parses; of the same length, which keeps offsets."""
    return "@" + "p" * (len(match[0]) - 1)


# Of several missing parts, the one that the parser names first differs from process to process.
_INCOMPLETE: Final = re.compile(r"Required keyword: '\w+' missing for <class '[\w.]*?(\w+)'>")
_TOKEN_SHOWN: Final = re.compile(r" but got <Token .*")


def _parse_problem(error: ParseError) -> str:
    """Return what the parser missed and where, without quoting the query."""
    if not error.errors:
        return (str(error).splitlines() or ["unknown"])[0][:100]
    first = error.errors[0]
    description = str(first.get("description") or "unknown").splitlines()[0].rstrip(".")
    description = _TOKEN_SHOWN.sub("", _INCOMPLETE.sub(r"incomplete \1", description))
    place = f" (line {first.get('line')}, column {first.get('col')})"
    return description[:100] + place
