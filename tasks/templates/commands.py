"""Recognition of statements that are not queries, as opposed to text that does not parse.

Logs are full of them: transactions, settings, cursors, maintenance. The parser knows some of them,
and takes others for an expression or for broken text.
"""

import re
from typing import Final

from sqlglot import exp

from nl2sql_align.tasks.ingest.statements import find_first_word
from nl2sql_align.tasks.templates.rules import NOT_A_QUERY, SEVERAL_STATEMENTS

# Words that start sentences too, such as LIST and GET, are left to the parser.
_COMMANDS: Final = frozenset(
    "ABORT ANALYSE ANALYZE ASSERT ATTACH BACKUP BEGIN BULK CACHE CALL CHECKPOINT CHECKSUM CLOSE "
    "CLUSTER COMMIT COPY DBCC DEALLOCATE DECLARE DENY DESC DESCRIBE DETACH DISCARD DO ELSE END "
    "EXEC EXECUTE EXPLAIN FETCH FLUSH GRANT HANDLER INSTALL KILL LISTEN LOAD LOCK MSCK NOTIFY "
    "OPTIMIZE PRAGMA PREPARE PRINT PURGE PUT RAISERROR REASSIGN RECONFIGURE REFRESH REINDEX "
    "RELEASE REPAIR RESET RESTORE RETURN REVOKE ROLLBACK SAVE SAVEPOINT SET SHOW SHUTDOWN SIGNAL "
    "START SYSTEM UNCACHE UNINSTALL UNLISTEN UNLOAD UNLOCK USE VACUUM WAITFOR WHILE XA".split()
)
_BLOCKS: Final = frozenset({"BEGIN", "DECLARE"})
_END_OF_BLOCK: Final = re.compile(r"\bEND(?:\s+\w+)?[\s;/]*\Z", re.IGNORECASE)
_TAIL: Final = 300
_ENDS_LIKE_A_SENTENCE: Final = re.compile(r"\w[?!.]+\s*\Z")
_EXPRESSIONS: Final = (
    exp.Condition,
    exp.Alias,
    exp.Aliases,
    exp.Identifier,
    exp.Star,
    exp.Table,
    exp.Tuple,
    exp.Var,
)


def explain_reject(text: str, reason: str) -> str:
    """Return the reason for a rejected text: a command is not a query, and other text is broken.

    Args:
        text: The text.
        reason: The reason that follows from the parse.
    """
    is_block = False
    if reason == SEVERAL_STATEMENTS:
        is_block = find_first_word(text) in _BLOCKS and bool(_END_OF_BLOCK.search(text[-_TAIL:]))
        if not is_block:
            return reason
    kind = reason.removeprefix(NOT_A_QUERY) if reason.startswith(NOT_A_QUERY) else None
    if kind is not None and not _is_expression(kind):
        problem = f"does not parse: a sentence ({kind} ...), not a statement"
        return problem if _is_sentence(text) else reason
    if kind is None and not is_block and not reason.startswith("does not "):
        return reason
    word = find_first_word(text)
    if word in _COMMANDS and not _is_sentence(text):
        return f"{NOT_A_QUERY}{word}"
    return f"does not parse: an expression ({kind}), not a statement" if kind else reason


def _is_sentence(text: str) -> bool:
    return bool(_ENDS_LIKE_A_SENTENCE.search(text[-_TAIL:])) and len(text.split(None, 4)) > 3


def _is_expression(kind: str) -> bool:
    found = getattr(exp, kind, None)
    return isinstance(found, type) and issubclass(found, _EXPRESSIONS)
