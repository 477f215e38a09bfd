"""Question reach: a training-free imitation of tuning, as an experiment.

A question of the target is answered with the templates of the training questions that are most like
it, by TF-IDF of words and pairs of words. Their share that equals the gold template says how much a
model could learn from the set by imitation alone.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from benchmarks.study.design import Row
from benchmarks.study.vocabulary import split_words

NEAREST: Final = 5
_AT_ONCE: Final = 200


def question_reach(
    train: Sequence[Row], targets: dict[str, list[Row]], nearest: int = NEAREST
) -> dict[str, float]:
    """Return, for each target, the share of right templates among the nearest training questions.

    Each question's neighbors weigh by their similarity. A question unlike all others counts as
    answered wrongly.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(
        tokenizer=split_words, token_pattern=None, lowercase=False, ngram_range=(1, 2)
    )
    distinct = list(dict.fromkeys((row.question, row.template) for row in train))
    of_train = vectors.fit_transform([question for question, _ in distinct])
    templates = np.array([template for _, template in distinct], object)
    found = {}
    for name, rows in targets.items():
        right = 0.0
        for first in range(0, len(rows), _AT_ONCE):
            some = rows[first : first + _AT_ONCE]
            likeness = (vectors.transform([row.question for row in some]) @ of_train.T).toarray()
            best = np.argsort(-likeness, axis=1, kind="stable")[:, :nearest]
            weights = np.take_along_axis(likeness, best, axis=1)
            golds = np.array([row.template for row in some], object)[:, None]
            totals = weights.sum(axis=1)
            hits = (weights * (templates[best] == golds)).sum(axis=1)
            right += float(np.divide(hits, totals, out=np.zeros_like(hits), where=totals > 0).sum())
        found[name] = right / len(rows)
    return found
