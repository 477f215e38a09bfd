"""Questions and templates as numbers, and the batches of a training, without JAX."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from nl2sql_align.tasks.ngrams.count import split_template

BATCH: Final = 64
QUESTION_LENGTH: Final = 24
"""Longer questions are cut."""

TEMPLATE_LENGTHS: Final = (10, 20, 40)
"""The lengths that templates are padded to, with their end. Longer ones are cut."""

PAD, UNKNOWN, START, END = range(4)
SPECIAL: Final = 4

Numbers = npt.NDArray[np.int32]


def split_words(question: str) -> list[str]:
    """Return the words of a question in lower case; a number is ``#``."""
    return [
        "#" if word[0].isdigit() else word
        for word in re.findall(r"[a-z]+|\d+|[^\sa-z\d]", question.lower())
    ]


@dataclass(frozen=True)
class Vocabulary:
    """The words of questions and the tokens of templates that a model knows, with their numbers."""

    words: dict[str, int]
    tokens: dict[str, int]

    @classmethod
    def collect(
        cls,
        questions: Iterable[str],
        templates: Iterable[str],
        fewest: int = 5,
        most_words: int = 3_000,
    ) -> "Vocabulary":
        """Return all that occur at least ``fewest`` times, numbered by frequency, then by text."""
        words = Counter(word for question in questions for word in split_words(question))
        tokens = Counter(token for template in templates for token in split_template(template))
        return cls(_number(words, fewest, most_words), _number(tokens, fewest, None))

    def read_questions(self, questions: Sequence[str]) -> Numbers:
        """Return the numbers of the first words of each question: a row each, padded."""
        found = np.zeros((len(questions), QUESTION_LENGTH), np.int32)
        for row, question in enumerate(questions):
            words = split_words(question)[:QUESTION_LENGTH]
            found[row, : len(words)] = [self.words.get(word, UNKNOWN) for word in words]
        return found

    def read_templates(self, templates: Sequence[str]) -> Numbers:
        """Return the numbers of each template's first tokens, and its end if it fits."""
        longest = TEMPLATE_LENGTHS[-1]
        found = np.zeros((len(templates), longest), np.int32)
        for row, template in enumerate(templates):
            tokens = [self.tokens.get(token, UNKNOWN) for token in split_template(template)]
            numbers = [*tokens, END][:longest]
            found[row, : len(numbers)] = numbers
        return found

    def write_templates(self, numbers: Numbers) -> list[str | None]:
        """Return the template of each row; None where it has no end or an unknown token."""
        names = {number: token for token, number in self.tokens.items()}
        found: list[str | None] = []
        for row in numbers.tolist():
            tokens = row[: row.index(END)] if END in row else [UNKNOWN]
            known = all(token in names for token in tokens)
            found.append(" ".join(names[token] for token in tokens) if known else None)
        return found


def _number(counts: Counter[str], fewest: int, most: int | None) -> dict[str, int]:
    ranked = sorted(
        (text for text, n in counts.items() if n >= fewest), key=lambda text: (-counts[text], text)
    )
    return {text: number for number, text in enumerate(ranked[:most], SPECIAL)}


def bucket_of(length: int) -> int:
    """Return the length that a template of this many tokens, with its end, is padded to."""
    return next((size for size in TEMPLATE_LENGTHS if length <= size), TEMPLATE_LENGTHS[-1])


def make_batches(
    templates: Numbers, n_batches: int, generator: np.random.Generator, size: int = BATCH
) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """Yield the rows of each batch, with the length that they are padded to.

    Rows are drawn by passes over all of them in random order. Each batch has rows of one bucket. A
    batch that a small set cannot fill repeats rows.
    """
    lengths = np.array([bucket_of(int(n)) for n in (templates != PAD).sum(axis=1)])
    waiting: dict[int, list[int]] = {length: [] for length in TEMPLATE_LENGTHS}
    made = 0
    while made < n_batches:
        for row in generator.permutation(len(templates)):
            rows = waiting[int(lengths[row])]
            rows.append(int(row))
            if len(rows) == size:
                yield int(lengths[row]), np.array(rows)
                rows.clear()
                made += 1
                if made == n_batches:
                    return


def share_right(answers: Sequence[str | None], templates: Sequence[str]) -> float:
    """Return the share of answers that equal the template of their question."""
    pairs = zip(answers, templates, strict=True)
    return sum(one == other for one, other in pairs) / len(templates)
