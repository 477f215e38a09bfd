"""One pass over the tokens of a parsed query, which yields its template.

Most tokens are decided by their type alone, in the loop of ``TemplateReader.read``: operators,
commas and brackets are kept, literals and names are dropped. The other tokens have a handler, which
looks at the neighbors or at the marks of the parse tree. A handler takes the index of its token,
appends the tokens to keep to ``out``, and returns the index at which to continue.
"""

import re
from collections.abc import Callable, Set
from functools import cached_property
from typing import Final

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from nl2sql_align.tasks.templates.dialect_rules import (
    ANGLE,
    ARGUMENT_SIGN,
    AS,
    CLOSE,
    COMMA,
    DASH,
    DOT,
    DOUBLE_COLON,
    KEYWORD,
    LITERAL,
    NAME,
    OPEN,
    PARAMETER,
    STRING,
    SYMBOL,
    TYPE,
    DialectRules,
    split_keyword,
)
from nl2sql_align.tasks.templates.keywords import (
    BARE_FUNCTIONS,
    CAST_FUNCTIONS,
    CHARACTER_SET_FUNCTIONS,
    CONVERT_FUNCTIONS,
    DATE_FUNCTIONS,
    DATE_PARTS,
    DDL_KEYWORDS,
    OPENING_KEYWORDS,
    PAIRED_KEYWORDS,
    SHORT_DATE_PARTS,
    TEXT_KEYWORDS,
    TYPE_FOLLOWERS,
)
from nl2sql_align.tasks.templates.tree_marks import TreeMarks

_NORMALIZED_SYMBOLS: Final = {"<>": "!=", "==": "="}
# Words whose parenthesis has a rule of its own.
_OPENERS: Final = frozenset(
    {"IN", "EXTRACT", "KEEP", *CAST_FUNCTIONS, *CHARACTER_SET_FUNCTIONS, *DATE_FUNCTIONS}
)
_NO_OFFSETS: Final[Set[int]] = frozenset()
_BEFORE_TABLES: Final = frozenset({"FROM", "JOIN", "INTO", "UPDATE", "TABLE"})
# Lexed as variables by some dialects, although rows follow.
_ROW_WORDS: Final = frozenset({"VALUES", "VALUE"})
# Words of MySQL that may precede the table of a change.
_MODIFIERS: Final = frozenset({"LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "QUICK", "IGNORE"})
# Words that a type may have in its brackets: VARCHAR(MAX), VARCHAR2(10 CHAR).
_WORDS_IN_TYPES: Final = frozenset({"MAX", "CHAR", "BYTE"})
_TIME_ZONES: Final = tuple(
    (*words, "TIME", "ZONE") for words in (("WITH", "LOCAL"), ("WITH",), ("WITHOUT",))
)


class TemplateReader:
    """Reads the template of one parsed query off its tokens and tree.

    Attributes:
        out: The template's tokens so far.
        keywords: Offsets of words that are keywords, although no list has them.
        names: Offsets of tokens to drop as names: those of the tree, as corrected on the way.
        values: Offsets of tokens that stand for placeholders.
        date_parts: Indexes of tokens to keep as date parts.
        open_brackets: For each open bracket the word before it, if that word has a rule, or else
            the bracket itself; preceded by an empty text for the outermost level.
        resume_at: For some commas and closing brackets, the index at which to continue, to drop
            the tokens that follow.
        lambda_end: Where the parameters of the lambda read most recently end.
        last_dropped: The last token of the name, type or parameter dropped most recently.
    """

    def __init__(
        self,
        rules: DialectRules,
        sql: str,
        tokens: list[Token],
        tree: exp.Expr,
        *,
        is_definition: bool,
    ) -> None:
        self.rules = rules
        self.actions = rules.actions
        self.sql = sql
        self.tokens = tokens
        self.count = len(tokens)
        self.marks = TreeMarks(tree, sql, has_long_names=rules.has_long_names)
        self.is_definition = is_definition
        self.out: list[str] = []
        self.keywords: Set[int] = _NO_OFFSETS
        self.values: Set[int] = _NO_OFFSETS
        self.names = self.marks.names
        self.date_parts: set[int] = set()
        self.open_brackets = [""]
        self.resume_at: dict[int, int] = {}
        self.lambda_end = -1
        self.last_dropped = -1

    def read(self) -> list[str]:
        """Return the template's tokens."""
        # The frequent cases are inlined, because this loop takes nearly all of a reader's time.
        tokens, actions, out, brackets = self.tokens, self.actions, self.out, self.open_brackets
        names, resume_at, keywords = self.names, self.resume_at, self.rules.keywords
        special_names = self.marks.typed_names or self.marks.name_ends
        variable, parenthesis = TokenType.VAR, TokenType.L_PAREN
        last, resume = self.count - 1, 0
        for i, token in enumerate(tokens):
            if i < resume:
                continue
            action = actions[token.token_type]
            if action >= KEYWORD:
                if token.start in names:
                    if special_names:
                        resume = self._read_special_name(i)
                elif action == KEYWORD:
                    text = token.text
                    known = keywords.get(text)
                    if known is None:
                        # A sign that the dialect lacks is lexed as UNKNOWN, like the word.
                        is_known = token.token_type != TokenType.UNKNOWN or text.isalpha()
                        words = split_keyword(text) if is_known else ()
                        known = keywords[text] = words, _AFTER_KEYWORD.get(text.upper())
                    out += known[0]
                    if known[1] is not None:
                        resume = known[1](self, i)
                elif (
                    i < last
                    and tokens[i + 1].token_type == parenthesis
                    and token.token_type == variable
                    and token.text.isidentifier()
                ):
                    word = token.text.upper()
                    out.append(word)
                    if word in _ROW_WORDS:
                        resume = self._after_values(i)
                elif action == NAME:
                    resume = self._read_unmarked_word(i)
                else:
                    resume = self._read_type_word(i)
            elif action == SYMBOL:
                out.append(_NORMALIZED_SYMBOLS.get(token.text, token.text))
            elif action == COMMA:
                out.append(",")
                resume = resume_at.get(i, resume)
            elif action == OPEN:
                if token.text == "(" and tokens[i - 1].text.upper() not in _OPENERS:
                    out.append("(")
                    brackets.append("(")
                else:
                    resume = self._read_open(i)
            elif action == CLOSE:
                out.append(token.text)
                if len(brackets) > 1:
                    brackets.pop()
                resume = resume_at.get(i, resume)
            elif action > CLOSE:
                resume = _HANDLERS[action](self, i)
            elif special_names and token.start in special_names:
                resume = self._read_special_name(i)  # CREATE TABLE t ('a' INT)
        return out

    def know(
        self,
        *,
        names: Set[int],
        keywords: Set[int] = _NO_OFFSETS,
        values: Set[int] = _NO_OFFSETS,
    ) -> None:
        """Add offsets that the tree does not mark, before reading."""
        self.names |= names
        self.keywords |= keywords
        self.values |= values

    def keep_defaults(self) -> None:
        """Keep DEFAULT where the parser takes it for a name: ``UPDATE t SET a = DEFAULT``."""
        for i, token in enumerate(self.tokens):
            if token.token_type == TokenType.DEFAULT and self._action(i - 1) not in (DOT, AS):
                self.names.discard(token.start)

    def keep_functions(self, reserved: re.Pattern[str]) -> None:
        """Keep functions without brackets that the parser takes for columns: ``WHERE a = USER``.

        Args:
            reserved: Matches their names.
        """
        for i, token in enumerate(self.tokens):
            if (
                token.token_type != TokenType.IDENTIFIER
                and token.start in self.names
                and reserved.fullmatch(token.text)
                and self._action(i - 1) not in (DOT, AS)
                and self._action(i + 1) != DOT
                and self._text(i - 1) not in _BEFORE_TABLES
            ):
                self.names.discard(token.start)
                self.keywords |= {token.start}

    # Looking around --------------------------------------------------------------------------

    def _action(self, i: int) -> int:
        return self.actions[self.tokens[i].token_type] if 0 <= i < self.count else -1

    def _text(self, i: int) -> str:
        return self.tokens[i].text.upper() if 0 <= i < self.count else ""

    def _is_name(self, i: int) -> bool:
        return 0 <= i < self.count and self.tokens[i].start in self.names

    def _is_word(self, i: int) -> bool:
        if self._action(i) not in (KEYWORD, NAME, TYPE, AS):
            return False
        token = self.tokens[i]
        return token.token_type == TokenType.IDENTIFIER or token.text[0].isalpha()

    def _is_type(self, i: int) -> bool:
        return self._action(i) == TYPE and not self._is_name(i)

    def _is_number(self, i: int) -> bool:
        return (
            0 <= i < self.count
            and self.tokens[i].token_type == TokenType.NUMBER
            and self.tokens[i].start not in self.values
        )

    def _is_parenthesis(self, i: int) -> bool:
        return i < self.count and self.tokens[i].token_type == TokenType.L_PAREN

    def _ends_operand(self, i: int) -> bool:
        """Return whether token ``i`` can end the left operand of a sign that follows."""
        if i < 0:
            return False
        if i == self.last_dropped or self._is_name(i):
            return True
        if self.tokens[i].token_type == TokenType.JOIN_MARKER:
            return True
        action = self._action(i)
        if action == KEYWORD:
            return (
                self.tokens[i].token_type in self.rules.bare_functions
                or self._text(i) in ("END", "NULL")
                or self._text(i) in DATE_PARTS
            )
        if action == NAME:
            return self._text(i) not in TEXT_KEYWORDS
        if action == TYPE:
            return self._text(i) in DATE_PARTS
        return action in (LITERAL, STRING, CLOSE)

    def _closing_bracket(self, i: int) -> int:
        """Return the index of the bracket that closes the one at ``i``, or of the last token.

        If no bracket opens at ``i``, return ``i``.
        """
        if self._action(i) != OPEN:
            return i
        return self._closing_brackets.get(i, self.count - 1)

    @cached_property
    def _closing_brackets(self) -> dict[int, int]:
        """The index of the bracket that closes each."""
        opened: list[int] = []
        closing: dict[int, int] = {}
        for i in range(self.count):
            action = self._action(i)
            if action == OPEN:
                opened.append(i)
            elif action == CLOSE and opened:
                closing[opened.pop()] = i
        return closing

    def _argument_commas(self, i: int) -> list[int]:
        """Return the indexes of the commas between arguments, for the bracket opened at ``i``."""
        commas: list[int] = []
        j, end = i + 1, self._closing_bracket(i)
        while j < end:
            if self._action(j) == COMMA:
                commas.append(j)
            j = self._closing_bracket(j) + 1
        return commas

    # Words -----------------------------------------------------------------------------------

    def _read_special_name(self, i: int) -> int:
        """Drop a name that may span several tokens or be followed by a type."""
        start = self.tokens[i].start
        end = self.marks.name_ends.get(start, start)
        i += 1
        while i < self.count and self.tokens[i].start <= end:
            i += 1
        return self._skip_column_type(i) if start in self.marks.typed_names else i

    def _read_unmarked_word(self, i: int) -> int:
        """Keep a variable or quoted word that is a keyword or a function; drop any other."""
        token = self.tokens[i]
        word = token.text.upper()
        if token.token_type == TokenType.IDENTIFIER:
            if token.start in self.marks.function_names:
                function = word.rpartition(".")[2]
                self.out += [function] if function.isidentifier() else []
            return i + 1
        if not (
            word in TEXT_KEYWORDS
            or word in DATE_PARTS
            or word in BARE_FUNCTIONS
            or i in self.date_parts
            or token.start in self.keywords
            or self._text(i - 1) in PAIRED_KEYWORDS.get(word, ())
            or (word in OPENING_KEYWORDS and self._text(i - 2) == OPENING_KEYWORDS[word])
            or (word == "VERSION" and self._text(i + 2) == "OF")
            or (word in DDL_KEYWORDS and self.is_definition)
            or (self._is_parenthesis(i + 1) and re.sub("[$#@]", "_", word).isidentifier())
        ):
            return i + 1
        self.out.append(word)
        after = _AFTER_KEYWORD.get(word)
        return after(self, i) if after else i + 1

    def _read_type_word(self, i: int) -> int:
        """Drop a word lexed as a type if it is one; keep it if it is a function or keyword."""
        end = self._skip_type(i)
        if self._is_lambda_type(i, end):
            return end
        if self._action(end) == STRING and (
            end == i + 1 or self.tokens[end].start in self.marks.cast_strings
        ):
            return end
        if self._text(i + 1) == "<" or self._is_bare_type(i, end):
            return end
        self.last_dropped = -1
        self.out += split_keyword(self.tokens[i].text)
        return i + 1

    def _is_bare_type(self, i: int, end: int) -> bool:
        """Return whether a type needs no brackets or literal to be one.

        MySQL has ``BINARY name``; definitions have ``CREATE FUNCTION f(INT, INT)``.
        """
        if self.is_definition and self._action(i - 1) in (COMMA, OPEN):
            # A function may have the name of a type: CREATE TABLE a AS SELECT DATE(DATE(b)).
            has_arguments = any(
                token.text[:1].isalpha()
                and token.token_type != TokenType.STRING
                and token.text.upper() not in _WORDS_IN_TYPES
                for token in self.tokens[i + 1 : end]
            )
            return self._action(end) in (COMMA, CLOSE) and not has_arguments
        return self._text(i) == "BINARY" and self._is_name(i + 1)

    def _is_lambda_type(self, i: int, end: int) -> bool:
        """Return whether a type belongs to the parameter of a lambda: ``a INT -> a + 1``."""
        if not self.rules.has_typed_lambdas or not self._is_name(i - 1):
            return False
        if i < self.lambda_end or self._text(end) == "->":
            return True
        while end < self.count and self._action(end) != CLOSE:
            end = self._closing_bracket(end) + 1 if self._action(end) == OPEN else end + 1
        if self._text(end + 1) != "->":
            return False
        self.lambda_end = end
        return True

    def _take_back(self, i: int) -> None:
        """Remove the word at ``i`` from ``out``, because it is a name that the tree lacks."""
        if i < 0 or i == self.last_dropped or self._is_name(i):
            return
        if self._action(i) in (KEYWORD, NAME, TYPE):
            words = split_keyword(self.tokens[i].text)
            if tuple(self.out[-len(words) :]) == words:
                del self.out[-len(words) :]

    # After keywords --------------------------------------------------------------------------

    def _after_generic_type(self, i: int) -> int:
        """Drop the type in ``ARRAY<INT64>[1, 2]``, or the name in ``list[1]``, already kept."""
        if self._text(i + 1) == "[" and self._text(i) in self.rules.subscripted:
            self.out.pop()
            self.last_dropped = i
            return i + 1
        if self._text(i + 1) != "<" and not self._is_lambda_type(i, i + 1):
            return i + 1
        self.out.pop()
        # Brackets after the type hold the values.
        end = self._skip_generics(i + 1) if self._text(i + 1) == "<" else i + 1
        self.last_dropped = end - 1
        return end

    def _after_values(self, i: int) -> int:
        """Drop all rows but the first behind the VALUES of an INSERT."""
        row = self._start_of_row(i + 1)
        if row and i in self._inserted_values:
            first = last = self._closing_bracket(row)
            while self._action(last + 1) == COMMA and (row := self._start_of_row(last + 2)):
                last = self._closing_bracket(row)
            self.resume_at[first] = last + 1
        return i + 1

    def _start_of_row(self, i: int) -> int:
        """Return the index of the bracket of the row at ``i``, as in ``ROW(1, 2)``; 0 if none."""
        i += self._text(i) == "ROW"
        return i if self._is_parenthesis(i) else 0

    def _after_change(self, i: int) -> int:
        """Keep the word after UPDATE or DELETE that the parser takes for a table."""
        after = i + 1
        if self._text(after) == "TOP" and self._is_parenthesis(after + 1):
            self.names.discard(self.tokens[after].start)
        while (
            self.rules.has_modifiers
            and self._text(after) in _MODIFIERS
            and self.tokens[after].token_type != TokenType.IDENTIFIER
            and self._is_word(after + 1)
            and self._text(after + 1) not in ("SET", "AS")
        ):
            self.names.discard(self.tokens[after].start)
            after += 1
        return i + 1

    def _after_order_by(self, i: int) -> int:
        """Keep the word in ``ORDER BY ALL``, which some parsers take for a column."""
        if i + 1 < self.count and self.tokens[i + 1].token_type == TokenType.ALL:
            self.names.discard(self.tokens[i + 1].start)
        return i + 1

    @cached_property
    def _inserted_values(self) -> set[int]:
        """The indexes of each VALUES, or VALUE, that belong to an INSERT."""
        found: set[int] = set()
        is_insert = [False]  # for each open bracket, after a bracket for the outermost level
        for i in range(self.count):
            action = self._action(i)
            if action == OPEN:
                is_insert.append(False)
            elif action == CLOSE and len(is_insert) > 1:
                is_insert.pop()
            elif (word := self._text(i)) in _ROW_WORDS:
                found.update([i] if is_insert[-1] else [])
            elif action == KEYWORD and word in ("INSERT", "REPLACE"):
                is_insert[-1] = True
            elif action == KEYWORD and word in ("SELECT", "FROM"):
                is_insert[-1] = False
        return found

    def _after_name_keyword(self, i: int) -> int:
        """Drop the name after COLLATE or CHARACTER SET, which may follow an equals sign."""
        if self._text(i + 1) == "=":
            self.out.append("=")
            i += 1
        return self._skip_name(i + 1)

    def _after_set(self, i: int) -> int:
        """Drop the name after CHARACTER SET if these are two tokens."""
        return self._after_name_keyword(i) if self._text(i - 1) == "CHARACTER" else i + 1

    def _after_using(self, i: int) -> int:
        """Drop the character set in ``CONVERT(a USING utf8)``."""
        return (
            self._skip_name(i + 1) if self.open_brackets[-1] in CHARACTER_SET_FUNCTIONS else i + 1
        )

    def _after_returns(self, i: int) -> int:
        """Drop the type that a function returns."""
        return i + 1 if self._text(i + 1) == "TABLE" else self._skip_type(i + 1)

    def _after_returning(self, i: int) -> int:
        """Drop the type in ``JSON_VALUE(a, 'b' RETURNING INT)``."""
        return self._skip_type(i + 1, is_cast=True) if self._is_type(i + 1) else i + 1

    def _after_type(self, i: int) -> int:
        """Drop the type in ``ALTER COLUMN a TYPE INT``."""
        return self._skip_type(i + 1) if self.marks.alters_types else i + 1

    # Signs -----------------------------------------------------------------------------------

    def _read_open(self, i: int) -> int:
        """Keep a bracket, and apply the rule of the word before it."""
        bracket = self.tokens[i].text
        if bracket == "{" and self._skip_parameter(i) > i:
            return self._read_parameter(i)
        self.out.append(bracket)
        before = self._text(i - 1)
        if bracket != "(" or before not in _OPENERS or self._is_name(i - 1):
            self.open_brackets.append(bracket)
            return i + 1
        if before == "IN":
            end = self._end_of_constants(i)
            if end:
                self.out.append(")")
                return end + 1
        elif before in DATE_FUNCTIONS:
            self._choose_date_part(i, before)
        elif before == "KEEP" and self._text(i + 1) == "DENSE_RANK":
            self.names.discard(self.tokens[i + 1].start)
        elif before == "EXTRACT" and self._text(i + 2) == "FROM":
            self._keep_date_part(i + 1)
        self.open_brackets.append(before)
        if before in CONVERT_FUNCTIONS:
            if self.rules.convert_type_is_first:
                return self._skip_type(i + 1)
            for comma in self._argument_commas(i)[:1]:
                self.resume_at[comma] = self._skip_type(comma + 1)
        return i + 1

    def _read_as(self, i: int) -> int:
        """Drop AS, and in a cast the type after it."""
        is_cast = self.open_brackets[-1] in CAST_FUNCTIONS
        return self._skip_type(i + 1, is_cast=True) if is_cast else i + 1

    def _read_double_colon(self, i: int) -> int:
        """Keep the sign of a cast, and drop the type after it."""
        self.out.append(self.tokens[i].text)
        return self._skip_type(i + 1)

    def _read_dash(self, i: int) -> int:
        """Keep a minus sign that subtracts; drop one that belongs to a number."""
        number = self._is_number(i + 1) or (self._action(i + 1) == DOT and self._is_number(i + 2))
        if not number or self._ends_operand(i - 1):
            self.out.append("-")
        return i + 1

    def _read_angle(self, i: int) -> int:
        """Keep a comparison or a shift, which is lexed as two signs: it could close two types."""
        text = self.tokens[i].text
        is_shift = self._text(i + 1) == text
        self.out.append(text * 2 if is_shift else text)
        return i + 2 if is_shift else i + 1

    def _after_exclamation_mark(self, i: int) -> int:
        """Join the sign to the tilde of ``!~`` and ``!~*``, which is lexed on its own."""
        if self._text(i + 1).startswith("~") and self._ends_operand(i - 1):
            self.out[-1] += self._text(i + 1)
            return i + 2
        return i + 1

    def _read_dot(self, i: int) -> int:
        """Drop a dot, with the words on both sides, which are names even if the tree lacks them."""
        if self._is_number(i + 1):
            return i + 2
        if i and self.tokens[i - 1].end + 1 == self.tokens[i].start:
            self._take_back(i - 1)
        if not self._is_word(i + 1) or self._is_name(i + 1) or self._is_parenthesis(i + 2):
            return i + 1
        self.last_dropped = i + 1
        return i + 2

    def _read_argument_sign(self, i: int) -> int:
        """Keep the sign after a named argument, and drop the argument's name."""
        self._take_back(i - 1)
        self.out.append(self.tokens[i].text)
        return i + 1

    def _read_parameter(self, i: int) -> int:
        """Drop a bind parameter, or keep its sign as an operator."""
        end = self._skip_parameter(i)
        if end > i:
            self.last_dropped = end - 1
            # CREATE PROCEDURE p (@x INT)
            return self._skip_type(end) if self.is_definition and self._is_type(end) else end
        text = self.tokens[i].text
        if text != ":":
            self.out.append(text)
            return i + 1
        if self.open_brackets[-1] == "{":
            self._take_back(i - 1)
        self.out.append(text)
        # The first key of a JSON path may be any word; the others follow dots.
        return self._skip_name(i + 1) if self.rules.colon_is_path else i + 1

    def _skip_parameter(self, i: int) -> int:
        """Return the index past the bind parameter at ``i``; ``i`` if it is not one."""
        text, after = self.tokens[i].text, self._action(i + 1)
        if text == "{":
            is_one = self.rules.braces_bind and after in (NAME, KEYWORD, TYPE)
            return self._closing_bracket(i) + 1 if is_one else i
        if self._action(i) != PARAMETER:
            return i
        if text == "@" and self.rules.has_stages:
            return self._skip_stage(i)
        if text == "@" and self.rules.at_is_operator:
            return i
        if text == "?":
            return i if self._ends_operand(i - 1) else i + 1
        if text == "%":
            if self._ends_operand(i - 1):
                return i
            end = self._closing_bracket(i + 1) + 1 if self._is_parenthesis(i + 1) else i + 1
            return end + 1 if self._text(end) == "S" else end
        if text == ":":
            binds = i + 1 < self.count and (
                self.tokens[i + 1].token_type in self.rules.bound_by_colon
            )
            return i if not binds or self._ends_operand(i - 1) else self._skip_name(i + 1)
        while text == "@" and self._text(i + 1) == "@":
            i += 1
        if self._text(i + 1) == "{":
            return self._closing_bracket(i + 1) + 1
        return self._skip_name(i + 1)

    def _skip_stage(self, i: int) -> int:
        """Skip a stage with its path, whose parts all touch: ``@stage/year=2020/file.csv``."""
        i += 1
        while (
            i < self.count
            and self.tokens[i - 1].end + 1 == self.tokens[i].start
            and self._action(i) not in (COMMA, CLOSE)
            and not self._is_parenthesis(i)
        ):
            i += 1
        return i

    # Date parts ------------------------------------------------------------------------------

    def _choose_date_part(self, i: int, function: str) -> None:
        """Keep the date part of a function whose bracket opens at ``i``.

        The tree does not say which argument it is. A dialect without the function parses the part
        as a column, and if a column has the name of a date part, one may be parsed as the other.
        """
        if self._action(i + 1) == STRING:
            return  # the date part is this string
        commas = self._argument_commas(i)
        if len(commas) + 1 < DATE_FUNCTIONS[function]:
            return
        closing = self._closing_bracket(i)
        candidates = [
            j
            for j, neighbor in ((i + 1, i + 2), (closing - 1, closing - 2))
            if self._action(neighbor) == COMMA
            and self.tokens[j].token_type != TokenType.IDENTIFIER
            and self._can_be_date_part(j, function)
        ]
        if candidates:
            chosen = min(candidates, key=self._date_part_rank)
            self._keep_date_part(chosen)
            for j in candidates:
                if j != chosen:
                    self.names.add(self.tokens[j].start)

    def _can_be_date_part(self, i: int, function: str) -> bool:
        if self._text(i) not in SHORT_DATE_PARTS:
            return self._text(i) in DATE_PARTS
        # In DATEDIFF(d, a, b), but not in DATE_TRUNC(d, WEEK(MONDAY)).
        return "_" not in function or not self._is_name(i)

    def _date_part_rank(self, i: int) -> tuple[bool, bool]:
        """Return a sort key: the most likely date part comes first."""
        return self._is_name(i), self._text(i) in SHORT_DATE_PARTS

    def _keep_date_part(self, i: int) -> None:
        if self.tokens[i].text.isidentifier():
            self.names.discard(self.tokens[i].start)
            self.date_parts.add(i)

    # Spans -----------------------------------------------------------------------------------
    # Each returns the index past the span that starts at ``i``, or ``i`` if none does.

    def _skip_name(self, i: int) -> int:
        """Skip a name or number with its dotted parts."""
        if self._action(i) in (NAME, KEYWORD, TYPE, LITERAL, STRING, AS):
            i += 1
            while self._action(i) == DOT and i + 1 < self.count and not self._is_parenthesis(i + 2):
                i += 2
            self.last_dropped = i - 1
        return i

    def _skip_column_type(self, i: int) -> int:
        """Skip the type of a column, unless a keyword precedes it."""
        is_set_type = self._is_parenthesis(i + 1)  # SET('a', 'b')
        if self._text(i) in ("TYPE", "SET") and not is_set_type:
            return i
        return self._skip_type(i, is_column=True)

    def _skip_type(self, i: int, *, is_cast: bool = False, is_column: bool = False) -> int:
        """Skip a type with its parameters, fields and brackets."""
        if self._action(i) not in (NAME, KEYWORD, TYPE):
            return i
        word = self._text(i)
        i += 1
        while i + 1 < self.count and self._action(i) == DOT:
            word = self._text(i + 1)
            i += 2
        while self._text(i) in TYPE_FOLLOWERS.get(word, ()):
            word = self._text(i)
            i += 1
        while word == "INTERVAL" and (self._text(i) in DATE_PARTS or self._text(i) == "TO"):
            i = self._closing_bracket(i + 1) + 1 if self._is_parenthesis(i + 1) else i + 1
        if self._text(i) == "<":
            i = self._skip_generics(i)
        elif self._is_parenthesis(i) or (word == "MAP" and self._text(i + 2) == "=>"):
            i = self._closing_bracket(i) + 1
        while self._text(i) in ("UNSIGNED", "SIGNED", "VARYING"):
            i += 1
        for words in _TIME_ZONES:
            if all(self._text(i + k) == word for k, word in enumerate(words)):
                i += len(words)
        if is_cast and self._text(i) in ("CHARACTER SET", "CHARSET"):
            i = self._skip_name(i + 1)
        elif is_cast and self._text(i) == "CHARACTER" and self._text(i + 1) == "SET":
            i = self._skip_name(i + 2)
        i = self._skip_array(i, is_column or self.rules.has_sized_arrays)
        self.last_dropped = i - 1
        return i

    def _skip_array(self, i: int, may_have_size: bool) -> int:
        """Skip what makes the type before it an array."""
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

    def _skip_generics(self, i: int) -> int:
        """Skip the fields of a type in angle brackets."""
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

    def _end_of_constants(self, i: int) -> int:
        """Return the index of the bracket that closes a list of constants; 0 for other lists.

        Args:
            i: Where the bracket of a list after IN opens.
        """
        depth = 0
        expected = True  # whether a constant, or the bracket before one, may follow
        while i < self.count:
            action = self._action(i)
            if action == OPEN and self._is_parenthesis(i) and expected:
                depth += 1
                i += 1
            elif action == CLOSE:
                depth -= 1
                if depth == 0:
                    return i
                expected = False
                i += 1
            elif action == COMMA:
                expected = True
                i += 1
            else:
                end = self._skip_constant(i)
                # Adjacent strings are one constant.
                if end == i or not (expected or action == self._action(i - 1) == STRING):
                    return 0
                expected = False
                i = end
        return 0

    def _skip_constant(self, i: int) -> int:
        """Skip a literal, NULL, typed literal or bind parameter, with its sign."""
        token = self.tokens[i]
        action = self._action(i)
        if action == DASH or token.token_type == TokenType.PLUS:
            end = i + 1 if self._action(i + 1) != DOT else i + 2
            return end + 1 if self._is_number(end) else i
        if action == DOT:
            return i + 2 if self._is_number(i + 1) else i
        if token.token_type == TokenType.INTRODUCER:
            return i + 2
        if action in (LITERAL, STRING) or token.token_type == TokenType.NULL:
            return i + 1
        if self._is_type(i):
            end = self._skip_type(i)
            return end + 1 if self._action(end) == STRING else i
        if action == NAME and token.start in self.values:
            return i + 1
        if action == NAME and self.rules.double_quoted_is_constant:
            # SQLite reads a word in double quotes as a string unless it names a column.
            return i + 1 if self.sql[token.start] == '"' else i
        return self._skip_parameter(i)


_Handler = Callable[[TemplateReader, int], int]

_HANDLERS: Final[dict[int, _Handler]] = {
    DASH: TemplateReader._read_dash,
    DOT: TemplateReader._read_dot,
    AS: TemplateReader._read_as,
    ANGLE: TemplateReader._read_angle,
    ARGUMENT_SIGN: TemplateReader._read_argument_sign,
    DOUBLE_COLON: TemplateReader._read_double_colon,
    PARAMETER: TemplateReader._read_parameter,
}

# What to do after a keyword.
_AFTER_KEYWORD: Final[dict[str, _Handler]] = {
    **dict.fromkeys(
        ("ARRAY", "LIST", "STRUCT", "MAP", "RANGE", "OBJECT"),
        TemplateReader._after_generic_type,
    ),
    **dict.fromkeys(("COLLATE", "CHARACTER SET", "CHARSET"), TemplateReader._after_name_keyword),
    "SET": TemplateReader._after_set,
    "VALUES": TemplateReader._after_values,
    "USING": TemplateReader._after_using,
    "RETURNS": TemplateReader._after_returns,
    "RETURNING": TemplateReader._after_returning,
    "TYPE": TemplateReader._after_type,
    "ORDER BY": TemplateReader._after_order_by,
    **dict.fromkeys(("INSERT", "UPDATE", "DELETE"), TemplateReader._after_change),
    "!": TemplateReader._after_exclamation_mark,
}
