"""A small model that learns templates from questions, in JAX on the CPU.

An encoder (bidirectional GRU) reads the words of a question, and a decoder (GRU with attention)
writes the tokens of a template. It sees neither schema nor values, so a score of its answers is a
score of structure alone.

All shapes are fixed by buckets of lengths, so that JAX compiles each function a few times only. On
one machine, equal seeds give equal parameters.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.study.vocabulary import (
    END,
    PAD,
    QUESTION_LENGTH,
    SPECIAL,
    START,
    TEMPLATE_LENGTHS,
    Numbers,
    Vocabulary,
    make_batches,
)

UNITS: Final = 128
EMBEDDED: Final = 64
DECODED_AT_ONCE: Final = 256

Parameters = dict[str, jax.Array]


def start_parameters(seed: int, vocabulary: Vocabulary, units: int = UNITS) -> Parameters:
    """Return random parameters."""
    n_words, n_tokens = (SPECIAL + len(names) for names in (vocabulary.words, vocabulary.tokens))
    half = units // 2
    shapes = {
        "words": (n_words, EMBEDDED),
        "tokens": (n_tokens, EMBEDDED),
        "forward_input": (EMBEDDED, 3 * half),
        "forward_state": (half, 3 * half),
        "backward_input": (EMBEDDED, 3 * half),
        "backward_state": (half, 3 * half),
        "first_state": (units, units),
        "decoder_input": (EMBEDDED, 3 * units),
        "decoder_state": (units, 3 * units),
        "attention": (units, units),
        "mixed": (2 * units, units),
        "output": (units, n_tokens),
    }
    keys = jax.random.split(jax.random.PRNGKey(seed), len(shapes))
    found = {
        name: jax.random.normal(key, shape)
        * (0.1 if name in ("words", "tokens") else shape[0] ** -0.5)
        for key, (name, shape) in zip(keys, shapes.items(), strict=True)
    }
    return found | {"output_bias": jnp.zeros(n_tokens)}


def _step(state: jax.Array, given: jax.Array, weights: jax.Array) -> jax.Array:
    """Return the next state of a GRU (Cho et al. 2014, arXiv 1406.1078), without biases."""
    reset_in, update_in, new_in = jnp.split(given, 3, axis=-1)
    reset, update, new = jnp.split(state @ weights, 3, axis=-1)
    gate = jax.nn.sigmoid(update_in + update)
    candidate = jnp.tanh(new_in + jax.nn.sigmoid(reset_in + reset) * new)
    return (1 - gate) * candidate + gate * state


def _encode(parameters: Parameters, questions: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the states at all words (words, batch, units) and the decoder's first state."""
    words = parameters["words"][questions.T]
    is_word = (questions.T != PAD)[:, :, None]
    sides = []
    for side, is_reversed in (("forward", False), ("backward", True)):
        weights = parameters[f"{side}_state"]

        def step(state: jax.Array, given: Any, weights: jax.Array = weights) -> Any:
            value, known = given
            state = jnp.where(known, _step(state, value, weights), state)
            return state, state

        empty = jnp.zeros((questions.shape[0], weights.shape[0]))
        sides.append(
            jax.lax.scan(
                step, empty, (words @ parameters[f"{side}_input"], is_word), reverse=is_reversed
            )
        )
    states = jnp.concatenate([side[1] for side in sides], axis=-1)
    last = jnp.concatenate([side[0] for side in sides], axis=-1)
    return states, jnp.tanh(last @ parameters["first_state"])


def _score_tokens(
    parameters: Parameters, decoded: jax.Array, states: jax.Array, is_word: jax.Array
) -> jax.Array:
    """Return the logit of each token after each decoder state (tokens, batch, units).

    Attention is the general one of Luong et al. 2015 (arXiv 1508.04025).
    """
    scores = jnp.einsum("tbu,wbu->tbw", decoded @ parameters["attention"], states)
    weights = jax.nn.softmax(jnp.where(is_word[None], scores, -1e9), axis=-1)
    context = jnp.einsum("tbw,wbu->tbu", weights, states)
    mixed = jnp.tanh(jnp.concatenate([decoded, context], axis=-1) @ parameters["mixed"])
    return mixed @ parameters["output"] + parameters["output_bias"]


def _loss(parameters: Parameters, questions: jax.Array, templates: jax.Array) -> jax.Array:
    states, first = _encode(parameters, questions)
    shifted = jnp.concatenate([jnp.full_like(templates[:, :1], START), templates[:, :-1]], axis=1)
    given = parameters["tokens"][shifted.T] @ parameters["decoder_input"]

    def step(state: jax.Array, value: jax.Array) -> tuple[jax.Array, jax.Array]:
        state = _step(state, value, parameters["decoder_state"])
        return state, state

    _, decoded = jax.lax.scan(step, first, given)
    logits = _score_tokens(parameters, decoded, states, questions != PAD)
    wanted = templates.T
    logs = jnp.take_along_axis(jax.nn.log_softmax(logits), wanted[:, :, None], axis=-1)[:, :, 0]
    is_token = wanted != PAD
    return -(logs * is_token).sum() / is_token.sum()


@partial(jax.jit, donate_argnums=(0, 1, 2))
def _train_step(
    parameters: Parameters,
    means: Parameters,
    squares: Parameters,
    step: jax.Array,
    rate: jax.Array,
    questions: jax.Array,
    templates: jax.Array,
) -> tuple[Parameters, Parameters, Parameters, jax.Array]:
    """Make one step of Adam (Kingma and Ba 2015), with gradients of a norm of at most 1."""
    loss, slopes = jax.value_and_grad(_loss)(parameters, questions, templates)
    norm = jnp.sqrt(sum((slope**2).sum() for slope in slopes.values()))
    scale = jnp.minimum(1.0, 1.0 / (norm + 1e-9))
    new: list[Parameters] = [{}, {}, {}]
    for name, slope in slopes.items():
        mean = 0.9 * means[name] + 0.1 * slope * scale
        square = 0.999 * squares[name] + 0.001 * (slope * scale) ** 2
        move = mean / (1 - 0.9**step) / (jnp.sqrt(square / (1 - 0.999**step)) + 1e-8)
        for part, value in zip(new, (parameters[name] - rate * move, mean, square), strict=True):
            part[name] = value
    return new[0], new[1], new[2], loss


def train(
    parameters: Parameters,
    questions: Numbers,
    templates: Numbers,
    n_steps: int,
    seed: int,
    rate: float = 1e-3,
    keep_after: Sequence[int] = (),
) -> tuple[Parameters, dict[int, Parameters], float]:
    """Train a model.

    Args:
        parameters: Its first parameters; unchanged.
        questions: The numbers of the words of each question.
        templates: The numbers of the tokens of its template.
        n_steps: The number of batches.
        seed: The seed of their order.
        rate: The rate of Adam, which starts without memory.
        keep_after: Numbers of steps whose parameters are returned, too.

    Returns:
        The parameters after the last step, those after the steps to keep, and the mean loss of the
        last 20 steps, in nats per token.
    """
    now = {name: jnp.array(value) for name, value in parameters.items()}
    means, squares = ({name: jnp.zeros_like(v) for name, v in now.items()} for _ in range(2))
    kept: dict[int, Parameters] = {}
    losses: list[jax.Array] = []
    batches = make_batches(templates, n_steps, np.random.default_rng(seed))
    for step, (length, rows) in enumerate(batches, 1):
        now, means, squares, loss = _train_step(
            now,
            means,
            squares,
            jnp.float32(step),
            jnp.float32(rate),
            questions[rows],
            templates[rows, :length],
        )
        losses.append(loss)
        if step in keep_after:
            kept[step] = {name: jnp.array(value) for name, value in now.items()}
    return now, kept, float(np.mean([float(loss) for loss in losses[-20:]]))


@jax.jit
def _decode(parameters: Parameters, questions: jax.Array) -> jax.Array:
    states, first = _encode(parameters, questions)
    is_word = questions != PAD
    n, longest = questions.shape[0], TEMPLATE_LENGTHS[-1]

    def is_open(at: Any) -> jax.Array:
        step, _, _, has_ended, _ = at
        return (step < longest) & ~has_ended.all()

    def go_on(at: Any) -> Any:
        step, state, token, has_ended, answer = at
        given = parameters["tokens"][token] @ parameters["decoder_input"]
        state = _step(state, given, parameters["decoder_state"])
        logits = _score_tokens(parameters, state[None], states, is_word)[0]
        # Padding and the start are not tokens.
        token = logits.at[:, jnp.array([PAD, START])].set(-jnp.inf).argmax(axis=-1)
        token = jnp.where(has_ended, PAD, token).astype(jnp.int32)
        return step + 1, state, token, has_ended | (token == END), answer.at[:, step].set(token)

    begin = (0, first, jnp.full(n, START, jnp.int32), ~is_word.any(axis=1))
    return jax.lax.while_loop(is_open, go_on, (*begin, jnp.zeros((n, longest), jnp.int32)))[4]


def answer(parameters: Parameters, questions: Numbers) -> Numbers:
    """Return the greedy answer to each question, as numbers of tokens with an end, padded."""
    found = []
    for first in range(0, len(questions), DECODED_AT_ONCE):
        some = questions[first : first + DECODED_AT_ONCE]
        padded = np.zeros((DECODED_AT_ONCE, QUESTION_LENGTH), np.int32)
        padded[: len(some)] = some
        found.append(np.asarray(_decode(parameters, padded))[: len(some)])
    return np.concatenate(found)
