"""The meaning of a column by its name: an answer, a reference, a question, ..."""

import re
from collections.abc import Iterator
from enum import Enum
from functools import lru_cache
from typing import Final

KeyPath = tuple[str | int, ...]
"""The keys and list positions that lead to a value of a row."""


class Meaning(Enum):
    """The kind of text that the name of a column promises."""

    PREDICTION = "a model's answer"
    RESPONSE = "a model's response"
    COMPLETION = "a completion"
    ANSWER = "an answer"
    """Of a model, unless a better name exists beside it: then of the data set, as completions."""
    TEXT = "a text"
    """An answer if it is SQL, else perhaps a question."""
    QUERY = "a query"
    OTHER = "another text"
    REFERENCE = "the reference"
    FLAWED = "a draft or a faulty query"
    PROMPT = "a prompt, schema or question"


RANKED_ANSWERS: Final = (
    Meaning.PREDICTION,
    Meaning.RESPONSE,
    Meaning.COMPLETION,
    Meaning.ANSWER,
)
"""The meanings of keys that name a model's answers, the best first."""
ANSWERS: Final = frozenset(RANKED_ANSWERS)
RANKED_REFERENCES: Final = (Meaning.REFERENCE, Meaning.QUERY, Meaning.ANSWER)
"""The meanings of keys that name the queries of a data set, the best first."""

_WORDS: Final = {
    Meaning.PROMPT: "question utterance prompt instruction input context schema ddl create "
    "evidence hint knowledge explanation reasoning reason thought thinking "
    "rationale cot argument args vars request messages conversations history example "
    "shot demo demonstration error nlq nl usage type id time status "
    "format score hash language cost",
    Meaning.PREDICTION: "pred predict predicted prediction generated generation gen llm hypothesis "
    "hyp infer inferred inference final extracted sampled",
    Meaning.REFERENCE: "gold golden label reference ref truth groundtruth gt expected solution sol "
    "std target correct true oracle chosen ideal canonical annotated",
    Meaning.FLAWED: "issue wrong rejected incorrect negative bad buggy corrupted broken noisy "
    "preprocess setup skeleton template masked toks token draft initial step sub intermediate "
    "partial",
    Meaning.RESPONSE: "response resp reply candidate choice assistant beam rollout nbest",
    Meaning.COMPLETION: "completion",
    Meaning.ANSWER: "answer output",
    Meaning.QUERY: "sql query statement",
}
_MEANINGS: Final = {
    word: meaning for meaning, words in reversed(_WORDS.items()) for word in words.split()
}
# Names of several words that mean something else than each of them.
_NAMES: Final = {
    "system": Meaning.PROMPT,
    "system output": Meaning.PREDICTION,
    "tool call": Meaning.RESPONSE,
    "tool calls": Meaning.RESPONSE,
    "function call": Meaning.RESPONSE,
    "output seq": Meaning.REFERENCE,
    "output sequence": Meaning.REFERENCE,
    "filtered resp": Meaning.PREDICTION,
    "output text": Meaning.PREDICTION,
    "model output": Meaning.PREDICTION,
    "model answer": Meaning.PREDICTION,
    "model response": Meaning.PREDICTION,
    "model sql": Meaning.PREDICTION,
    "model query": Meaning.PREDICTION,
    "raw output": Meaning.PREDICTION,
    "y hat": Meaning.PREDICTION,
    "yhat": Meaning.PREDICTION,
    "text": Meaning.TEXT,
    "content": Meaning.TEXT,
}
# "predicted_label" is a prediction, but "final_gold_sql" is a reference.
_SURE_REFERENCES: Final = frozenset("gold golden truth groundtruth gt reference ref oracle".split())
# Several columns with such names have the answers of several models.
_MODELS: Final = frozenset(
    "gpt chatgpt claude gemini llama codellama qwen deepseek mistral mixtral starcoder sqlcoder "
    "codex palm".split()
)
_CALLS: Final = frozenset({"tool call", "tool calls", "function call"})
_ARGUMENTS: Final = frozenset({"argument", "args", "parameters", "input"})
_ORDER: Final = (
    Meaning.PROMPT,
    Meaning.REFERENCE,
    Meaning.FLAWED,
    Meaning.PREDICTION,
    Meaning.RESPONSE,
    Meaning.COMPLETION,
    Meaning.ANSWER,
    Meaning.TEXT,
    Meaning.QUERY,
)
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_JOINED: Final = re.compile(r"(.+?)(sqls?|query|queries)")


def find_meaning(path: KeyPath) -> Meaning:
    """Return the meaning of a path by its keys: a reference within a prediction is a reference."""
    listed = list(_list_meanings(path))
    found = {*listed}
    # The inputs of a test may have its reference among them.
    if Meaning.REFERENCE in found and listed[-1] is not Meaning.PROMPT:
        return Meaning.REFERENCE
    return next((meaning for meaning in _ORDER if meaning in found), Meaning.OTHER)


def is_plain_query(path: KeyPath) -> bool:
    """Return whether the last key is ``sql``, ``query``, ... without a word that qualifies it."""
    keys = [key for key in path if isinstance(key, str)]
    words = _split_words(keys[-1]) if keys else []
    return bool(words) and all(_MEANINGS.get(word) is Meaning.QUERY for word in words)


def _list_meanings(path: KeyPath) -> Iterator[Meaning]:
    is_in_call = False
    for key in path:
        if isinstance(key, str):
            name = " ".join(_split_words(key))
            # A model writes the arguments of its tool calls.
            yield Meaning.OTHER if is_in_call and name in _ARGUMENTS else _find_name_meaning(key)
            is_in_call |= name in _CALLS


@lru_cache(4096)
def _find_name_meaning(name: str) -> Meaning:
    words = _split_words(name)
    if (known := _NAMES.get(" ".join(words))) is not None:
        return known
    found = {_MEANINGS[word] for word in words if word in _MEANINGS}
    if not found & {Meaning.PROMPT, Meaning.REFERENCE, Meaning.FLAWED} and _MODELS & {*words}:
        return Meaning.RESPONSE
    # A predicted label is a prediction.
    is_predicted = bool(words) and _MEANINGS.get(words[0]) is Meaning.PREDICTION
    if is_predicted and Meaning.PROMPT not in found and not _SURE_REFERENCES & {*words}:
        return Meaning.PREDICTION
    return next((meaning for meaning in _ORDER if meaning in found), Meaning.OTHER)


def _split_words(name: str) -> list[str]:
    words = []
    for word in _WORD.findall(name[:100]):
        word = word.lower()
        joined = _JOINED.fullmatch(word)
        words += [joined[1], joined[2]] if joined and joined[1] in _MEANINGS else [word]
    return [w if w in _MEANINGS else _make_singular(w) for w in words]


def _make_singular(word: str) -> str:
    singular = word[:-3] + "y" if word.endswith("ies") else word.removesuffix("s")
    return singular if singular in _MEANINGS else word
