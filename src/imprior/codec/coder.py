r"""A range coder on integer frequencies.

A message is a nested sequence of intervals in [0, 1). A symbol that has the share
[start, start + frequency) of [0, 2^P) narrows the current interval to that share of it, and any
number in the last interval identifies the message, at -log2(width) bits.

The encoder holds the interval as 64 bits, `low` and `width`, in units of 2^-64 2^-32m after
writing m words of 32 bits. With unit = floor(width / 2^P), a symbol does

    low <- low + unit * start,    width <- unit * frequency,

and, when width < 2^32, the upper word of low is written and both shift left by 32 bits. This
keeps width >= 2^32: before a symbol unit >= 2^(32 - P) >= 1 for P <= 32, so after it width >= 1,
and one shift is enough. Rounding the unit down costs log2(width / (2^P unit)) bits a symbol, at
most 2^(P - 31) and, log2(width) being spread evenly over 32 to 64, 2^(P - 37) on average: 1e-4 bit
for P = 24.

*Carries.* low + unit * start may exceed 64 bits; the 1 belongs to the last word that was written,
and from there to the ones before it while they are 2^32 - 1. It never leaves the first word, since
the interval stays within [0, 1).

*The end.* As width >= 2^32, some multiple of 2^32 lies in [low, low + width): its upper word is
written, and its lower word, 0, is left to the decoder's imagination.

*The decoder* holds point = code - low, with as many bits of the code as the encoder has of low, so
target = floor(point / unit) tells which share the code is in: start <= target < start + frequency.
It starts with two words and reads one at each shift; the encoder writes one at each shift and one
at the end. So it needs exactly one word past the end, and one more means that bytes are missing. A
code in the part of the interval that no symbol has, target >= 2^P, cannot come from an encoder.

Decoding needs the decoder's own floats to give the encoder's frequencies, hence the care in
`imprior.distributions.frequencies`.

Source: Martin (1979), Range encoding. `constriction` (Bamler 2022) implements the same and is the
oracle in the tests; its models take float probabilities and round them by its own rule, which
would then be part of our file format.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imprior.distributions import frequencies
from imprior.distributions.binned import BinnedMixture
from imprior.distributions.compiling import exact
from imprior.distributions.frequencies import MAX_PRECISION, Floats, Integers, find, relevant
from imprior.distributions.tables import Table

State = NDArray[np.uint64]
Words = NDArray[np.uint32]

WORD_BITS = np.uint64(32)
WORD = np.uint64((1 << 32) - 1)  # all bits of a word
WHOLE = (1 << 64) - 1
STORED = np.dtype(">u4")


@exact
def narrow(state: State, words: Words, start: int, frequency: int, precision: int) -> None:
    """Encodes one symbol; `state` is low, width, number of words; `words` has room for one."""
    if start < 0 or frequency < 1 or start + frequency > 1 << precision:
        raise ValueError("a symbol must have a share of at least 1 in [0, 2^precision)")
    unit = state[1] >> np.uint64(precision)
    low = state[0] + unit * np.uint64(start)
    if low < state[0]:
        carry(words, state[2])
    state[0] = low
    state[1] = unit * np.uint64(frequency)
    if state[1] <= WORD:
        words[state[2]] = low >> WORD_BITS
        state[0] <<= WORD_BITS
        state[1] <<= WORD_BITS
        state[2] += np.uint64(1)


@exact
def carry(words: Words, size: np.uint64) -> None:
    """Adds 1 to the last of `size` words, and to those before it as they overflow."""
    i = size - np.uint64(1)
    while words[i] == WORD:
        words[i] = 0
        i -= np.uint64(1)
    words[i] += np.uint32(1)


@exact
def locate(state: State, precision: int) -> int:
    """The target in [0, 2^P) of the next symbol; `state` is point, width, number of words."""
    target = state[0] // (state[1] >> np.uint64(precision))
    if target >> np.uint64(precision):
        raise ValueError("the coded data are damaged: they lead to no value")
    return int(np.int64(target))


@exact
def advance(state: State, words: Words, start: int, frequency: int, precision: int) -> None:
    """Decodes one symbol, once its share is known: the inverse of `narrow`."""
    unit = state[1] >> np.uint64(precision)
    state[0] -= unit * np.uint64(start)
    state[1] = unit * np.uint64(frequency)
    if state[1] <= WORD:
        state[0] = (state[0] << WORD_BITS) | read(words, state[2])
        state[1] <<= WORD_BITS
        state[2] += np.uint64(1)


@exact
def read(words: Words, i: np.uint64) -> np.uint64:
    """Word i; the one past the end is 0."""
    if i > np.uint64(words.size):
        raise ValueError("the coded data are cut off")
    return np.uint64(words[i]) if i < np.uint64(words.size) else np.uint64(0)


@exact
def encode(state: State, words: Words, starts: Integers, shares: Integers, precision: int) -> None:
    """Encodes symbols by their shares; `words` has room for as many words."""
    if precision < 1 or precision > MAX_PRECISION:
        raise ValueError("shares must be of [0, 2^precision) with a precision of 1 to 32")
    for n in range(starts.size):
        narrow(state, words, starts[n], shares[n], precision)


@exact
def decode(
    state: State,
    words: Words,
    weights: Floats,
    means: Floats,
    inverse_scales: Floats,
    low: Integers,
    high: Integers,
    precision: int,
    cdf: Table,
) -> Integers:
    """Decodes one value per row of a mixture; see `frequencies.intervals`."""
    values = np.empty(low.size, np.int64)
    room = np.empty((4, weights.shape[1]))
    for n in range(low.size):
        support = (low[n], high[n], precision)
        row = relevant((weights[n], means[n], inverse_scales[n]), support, room)
        target = locate(state, precision)
        values[n], start, frequency = find(row, support, target, cdf, room[3])
        advance(state, words, start, frequency, precision)
    return values


class Encoder:
    """Writes values, given their distributions, to bytes."""

    def __init__(self) -> None:
        self._state = np.array([0, WHOLE, 0], np.uint64)
        self._words = np.empty(1024, np.uint32)

    def put(self, pmfs: BinnedMixture, values: Tensor) -> None:
        """Appends one value per row.

        Arguments:
            pmfs: Their distributions, n rows.
            values: int64 within each row's range, (n,).

        Raises:
            ValueError: If a value is impossible or a mixture is not a distribution.
        """
        if values.shape != pmfs.low.shape:
            raise ValueError(
                f"there are {len(pmfs.low)} distributions for values of shape {tuple(values.shape)}"
            )
        array = values.cpu().contiguous().numpy()
        starts, shares = frequencies.intervals(array, *pmfs.compiled_arguments())
        self.put_shares(starts, shares, pmfs.precision)

    def put_shares(self, starts: Integers, shares: Integers, precision: int) -> None:
        """Appends symbols that have the shares [start, start + share) of [0, 2^precision).

        Raises:
            ValueError: If a share is empty or not within [0, 2^precision).
        """
        if starts.shape != shares.shape:
            raise ValueError(f"{starts.shape} starts do not match {shares.shape} shares")
        # A symbol writes one word at most.
        if int(self._state[2]) + starts.size > self._words.size:
            more = np.empty(self._words.size + starts.size, np.uint32)
            self._words = np.concatenate([self._words, more])
        encode(self._state, self._words, starts, shares, precision)

    def finish(self) -> bytes:
        """All that was put so far, as bytes: a multiple of 4."""
        low, _, size = (int(number) for number in self._state)
        words = self._words[: size + 1].copy()
        last = low + int(WORD)
        if last > WHOLE:
            carry(words, np.uint64(size))
        words[size] = (last >> 32) & int(WORD)
        return words.astype(STORED).tobytes()


class Decoder:
    """Reads the values of an `Encoder` back, given the same distributions in the same order.

    Arguments:
        data: What `Encoder.finish` returned.

    Raises:
        ValueError: If that cannot be.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) % STORED.itemsize or not data:
            raise ValueError(f"coded data come in words of 4 bytes, got {len(data)} bytes")
        self._words = np.frombuffer(data, STORED).astype(np.uint32)
        first = (int(read(self._words, np.uint64(i))) for i in range(2))
        self._state = np.array([next(first) << 32 | next(first), WHOLE, 2], np.uint64)

    def get(self, pmfs: BinnedMixture) -> Tensor:
        """Reads one value per row.

        Arguments:
            pmfs: Their distributions, bit for bit those that they were encoded with, n rows.

        Returns:
            int64, (n,), on the CPU.

        Raises:
            ValueError: If the data are cut off or damaged, as far as that can be told.
        """
        return torch.from_numpy(decode(self._state, self._words, *pmfs.compiled_arguments()))

    def finish(self) -> None:
        """Raises ValueError unless the data end here."""
        if int(self._state[2]) != self._words.size + 1:
            raise ValueError("the coded data go on after their last value")
