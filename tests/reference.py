"""The definitions of the specification (sections 3 to 5 and 8) in plain Python.

Tests check the program against them. They are written for reading, not for speed, and share no code
with the program.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

LONGEST = 15
SKEW = 0.01
EPSILON = 1e-8

Distribution = dict[str, float]


class Corpus(NamedTuple):
    """The templates and comparable texts of a corpus's templated queries, one of each per query."""

    templates: list[str]
    texts: list[str]


# Section 3: n-grams


def tokens_of(template: str) -> list[str]:
    tokens: list[str] = []
    for word in template.split():
        if word == "BY" and tokens and tokens[-1] in ("ORDER", "GROUP", "PARTITION"):
            tokens[-1] += " BY"
        else:
            tokens.append(word)
    return tokens


def is_ngram(run: list[str]) -> bool:
    has_word = any(token[0].isalpha() or token[0] == "_" for token in run)
    return has_word and run[0] != "," and run[-1] != "," and parentheses_match(run)


def parentheses_match(run: list[str]) -> bool:
    n_open = 0
    for token in run:
        if token == "(":
            n_open += 1
        elif token == ")":
            n_open -= 1
            if n_open < 0:
                return False
    return n_open == 0


def ngrams_of(template: str, longest: int = LONGEST) -> Iterator[str]:
    tokens = tokens_of(template)
    for start in range(len(tokens)):
        for end in range(start + 1, min(start + longest, len(tokens)) + 1):
            run = tokens[start:end]
            if is_ngram(run):
                yield " ".join(run)


def ngram_counts(templates: Iterable[str], longest: int = LONGEST) -> Counter[str]:
    counts: Counter[str] = Counter()
    for template, n_queries in Counter(templates).items():
        for ngram in ngrams_of(template, longest):
            counts[ngram] += n_queries
    return counts


def distribution(counts: Mapping[str, int]) -> Distribution:
    total = sum(counts.values())
    return {ngram: count / total for ngram, count in counts.items()}


# Section 4: divergence and KL-alignment


def skew_terms(p: Distribution, q: Distribution, skew: float = SKEW) -> dict[str, float]:
    return {
        ngram: pi * math.log(pi / ((1 - skew) * q.get(ngram, 0.0) + skew * pi))
        for ngram, pi in p.items()
    }


def skew_divergence(p: Distribution, q: Distribution, skew: float = SKEW) -> float:
    return math.fsum(skew_terms(p, q, skew).values())


def additive_divergence(p: Distribution, q: Distribution, epsilon: float = EPSILON) -> float:
    union = p.keys() | q.keys()
    total = 1 + epsilon * len(union)
    smoothed = (
        ((p.get(ngram, 0.0) + epsilon) / total, (q.get(ngram, 0.0) + epsilon) / total)
        for ngram in union
    )
    return math.fsum(pi * math.log(pi / qi) for pi, qi in smoothed)


def jensen_shannon(p: Distribution, q: Distribution) -> float:
    def to_middle(one: Distribution, other: Distribution) -> float:
        return math.fsum(
            x * math.log(x / ((x + other.get(ngram, 0.0)) / 2)) for ngram, x in one.items()
        )

    return (to_middle(p, q) + to_middle(q, p)) / 2


def kl_alignment(kl_nats: float, skew: float = SKEW) -> float:
    return math.exp(-kl_nats / math.log(1 / skew))


def additive_alignment(kl_nats: float, epsilon: float = EPSILON) -> float:
    return math.exp(-kl_nats / math.log((1 + epsilon) / epsilon))


# Section 5: Alignment Ratio


def alignment_ratio(train: Corpus, predictions: Corpus, target: Corpus) -> float:
    return measures(train, target)["kl_alignment"] / measures(predictions, target)["kl_alignment"]


# Section 8: shares


def share_of(target: Mapping[str, int], source: Iterable[str]) -> float:
    """Return the share of the target's occurrences whose unit is in the source."""
    known = set(source)
    return sum(count for unit, count in target.items() if unit in known) / sum(target.values())


def measures(source: Corpus, target: Corpus) -> dict[str, float]:
    """Return all columns of table ``alignment`` for one ordered pair."""
    source_counts, target_counts = ngram_counts(source.templates), ngram_counts(target.templates)
    p, q = distribution(source_counts), distribution(target_counts)
    js_nats = jensen_shannon(p, q)
    return {
        "kl_nats": skew_divergence(p, q),
        "reverse_kl_nats": skew_divergence(q, p),
        "kl_alignment": kl_alignment(skew_divergence(p, q)),
        "additive_kl_nats": additive_divergence(p, q),
        "additive_kl_alignment": additive_alignment(additive_divergence(p, q)),
        "js_nats": js_nats,
        "js_alignment": 1 - js_nats / math.log(2),
        "ngram_coverage": share_of(target_counts, source_counts),
        "template_coverage": share_of(Counter(target.templates), source.templates),
        "exact_overlap": share_of(Counter(target.texts), source.texts),
    }


def comparable_text(sql: str) -> str:
    """Return a SQLite text as ``exact_overlap`` compares it (section 8)."""
    parts: list[str] = []
    at = 0
    while at < len(sql):
        start, end = at, at + 1
        if sql.startswith("--", at):
            end = sql.find("\n", at) if "\n" in sql[at:] else len(sql)
            parts.append(" ")
        elif sql.startswith("/*", at):
            end = sql.index("*/", at) + 2
            parts.append(" ")
        elif sql[at] in "'\"`":
            # A doubled quote ends one literal and starts the next, with the same result.
            end = sql.index(sql[at], at + 1) + 1
            parts.append(sql[start:end])
        elif sql[at].isspace():
            parts.append(" ")
        else:
            parts.append(sql[at].lower())
        at = end
    return fold_spaces(parts)


def fold_spaces(parts: list[str]) -> str:
    folded = [part for i, part in enumerate(parts) if part != " " or parts[i - 1 : i] != [" "]]
    return "".join(folded).strip(" ;")
