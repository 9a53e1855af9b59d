"""The range coder against exact arithmetic, against constriction, and against damaged bytes."""

from __future__ import annotations

import itertools
import math
from typing import Any

import constriction
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from imprior.codec import coder
from imprior.codec.coder import Decoder, Encoder
from imprior.distributions.binned import BinnedMixture

Share = tuple[int, int]


def encode(shares: list[Share], precision: int) -> bytes:
    encoder = Encoder()
    starts, lengths = np.array(shares, np.int64).reshape(-1, 2).T.copy()
    encoder.put_shares(starts, lengths, precision)
    return encoder.finish()


def check_decodes(data: bytes, shares: list[Share], precision: int) -> None:
    """The decoder's targets lie in the shares, and the data end where the shares do."""
    decoder = Decoder(data)
    for start, length in shares:
        target = coder.locate(decoder._state, precision)
        assert start <= target < start + length
        coder.advance(decoder._state, decoder._words, start, length, precision)
    decoder.finish()


class Reference:
    """Range coding with integers of any length, so that there is nothing to carry."""

    def __init__(self) -> None:
        self.low, self.width, self.words = 0, 2**64 - 1, 0

    def put(self, share: Share, precision: int) -> None:
        unit = self.width >> precision
        self.low += unit * share[0]
        self.width = unit * share[1]
        if self.width < 2**32:
            self.low <<= 32
            self.width <<= 32
            self.words += 1

    def finish(self) -> bytes:
        return (-(-self.low // 2**32)).to_bytes(4 * self.words + 4, "big")


def reference(shares: list[Share], precision: int) -> bytes:
    exact = Reference()
    for share in shares:
        exact.put(share, precision)
    return exact.finish()


anything = st.integers(0, 2**32 - 1)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 32), st.lists(st.tuples(anything, anything), max_size=60))
def test_bytes_are_those_of_exact_arithmetic_and_decode(
    precision: int, numbers: list[tuple[int, int]]
) -> None:
    """Shares of all sizes, from 1 to all of [0, 2^P)."""
    shares = []
    for first, second in numbers:
        start = first % 2**precision
        shares.append((start, 1 + second % (2**precision - start)))
    data = encode(shares, precision)
    assert data == reference(shares, precision)
    check_decodes(data, shares, precision)


def straddling(count: int, precision: int) -> list[Share]:
    """Shares that keep a point of the form 0.10000... in the interval, and low just below it."""
    low, width, point = 0, 2**64 - 1, 2**63
    shares = []
    for _ in range(count):
        unit = width >> precision
        start = (point - 1 - low) // unit
        assert 0 <= start < 2**precision - 1
        shares.append((start, 2))
        low, width = low + unit * start, 2 * unit
        if width < 2**32:
            word = low >> 32
            low, width, point = (
                (low - (word << 32)) << 32,
                width << 32,
                (point - (word << 32)) << 32,
            )
    return shares


@pytest.mark.parametrize("precision", [24, 28, 31])
@pytest.mark.parametrize("count", [1, 2, 3, 10, 100])
def test_a_carry_runs_through_all_words_of_ones(precision: int, count: int) -> None:
    shares = straddling(count, precision)
    before = encode(shares, precision)
    # The end of the message alone decides on which side of the point it falls.
    above = [*shares, (2**precision - 1, 1)]
    below = [*shares, (0, 1)]
    for message in (shares, above, below):
        data = encode(message, precision)
        assert data == reference(message, precision)
        check_decodes(data, message, precision)
    if count == 100:
        assert encode(below, precision)[:200] == bytes.fromhex("7f" + "ff" * 199)
        assert encode(above, precision)[:200] == bytes.fromhex("80" + "00" * 199)
        assert len(before) > 240


def mixtures(n: int, *, k: int = 6, precision: int = 24, seed: int = 0) -> BinnedMixture:
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(3, n, k, generator=generator, dtype=torch.float64)
    low = torch.randint(-20, 1, (n,), generator=generator)
    high = low + torch.randint(0, 256, (n,), generator=generator)
    parameters = (normal[0].softmax(1), 80 + 40 * normal[1], normal[2].exp() / 5)
    return BinnedMixture(*parameters, low, high, precision)


def rows(pmfs: BinnedMixture, start: int, end: int) -> BinnedMixture:
    names = ("weights", "means", "inverse_scales", "low", "high")
    parts: dict[str, Any] = {name: getattr(pmfs, name)[start:end] for name in names}
    return BinnedMixture(**parts, precision=pmfs.precision, family=pmfs.family)


def draw(pmfs: BinnedMixture) -> Tensor:
    return pmfs.sample(torch.Generator().manual_seed(1))


def encoded(pmfs: BinnedMixture, values: Tensor, sizes: list[int]) -> bytes:
    """Coded in steps of the given sizes."""
    encoder = Encoder()
    for start, end in itertools.pairwise([0, *np.cumsum(sizes).tolist()]):
        encoder.put(rows(pmfs, start, end), values[start:end])
    return encoder.finish()


@pytest.mark.parametrize("precision", [24, 28, 32])
def test_values_come_back_at_their_information(precision: int) -> None:
    pmfs = mixtures(20_000, precision=precision)
    values = draw(pmfs)
    data = encoded(pmfs, values, [20_000])
    decoder = Decoder(data)
    assert torch.equal(decoder.get(pmfs), values)
    decoder.finish()
    information = -pmfs.log_mass(values).sum().item() / math.log(2)
    rounding = 20_000 * 2.0 ** (precision - 36)  # twice what the docstring of the coder says
    assert information <= 8 * len(data) < information + rounding + 64


def test_bytes_do_not_depend_on_the_sizes_of_steps() -> None:
    pmfs = mixtures(600)
    values = draw(pmfs)
    data = encoded(pmfs, values, [600])
    assert encoded(pmfs, values, [1] * 600) == data
    assert encoded(pmfs, values, [0, 7, 0, 100, 493]) == data
    decoder = Decoder(data)
    parts = [decoder.get(rows(pmfs, start, start + 60)) for start in range(0, 600, 60)]
    assert torch.equal(torch.cat(parts), values)


def test_impossible_looking_values_come_back_too() -> None:
    """The tails of narrow mixtures, where only the floor is left."""
    pmfs = mixtures(500)
    for values in (pmfs.low, pmfs.high):
        decoder = Decoder(encoded(pmfs, values, [500]))
        assert torch.equal(decoder.get(pmfs), values)
        decoder.finish()


def test_is_as_small_as_constriction() -> None:
    """Its range coder (64-bit state, 32-bit words) on the same probabilities, rounded by it."""
    pmfs = rows(mixtures(40), 3, 4)
    size = int(pmfs.high - pmfs.low) + 1
    pmf = pmfs.pmf()[0, :size].numpy()
    symbols = np.random.default_rng(0).choice(size, 5000, p=pmf / pmf.sum()).astype(np.int32)
    oracle = constriction.stream.queue.RangeEncoder()
    oracle.encode(symbols, constriction.stream.model.Categorical(pmf, perfect=False))
    encoder = Encoder()
    for symbol in symbols:
        encoder.put(pmfs, pmfs.low + int(symbol))
    assert abs(len(encoder.finish()) - 4 * len(oracle.get_compressed())) <= 8


def test_bytes_are_part_of_the_file_format() -> None:
    shares = [(0, 1), (2**24 - 1, 1), (5_000_000, 3_000_000), (77, 2), (2**23, 2**23), (1, 9)]
    assert encode(shares, 24).hex() == "000000fffeff4c4c01a7407d"
    assert encode([(3, 2)] * 7, 5).hex() == "19999998"


def test_finishing_does_not_end_the_message() -> None:
    encoder = Encoder()
    first, second = np.array([5]), np.array([6])
    encoder.put_shares(first, second, 24)
    assert encoder.finish() == encoder.finish() == encode([(5, 6)], 24)
    encoder.put_shares(second, first, 24)
    assert encoder.finish() == encode([(5, 6), (6, 5)], 24)


def test_an_empty_message_is_one_word() -> None:
    assert Encoder().finish() == bytes(4)
    Decoder(bytes(4)).finish()


def test_data_that_are_cut_off_are_refused() -> None:
    pmfs = mixtures(200)
    data = encoded(pmfs, draw(pmfs), [200])
    for length in range(len(data)):
        with pytest.raises(ValueError, match=r"cut off|damaged|words of 4 bytes"):
            decoder = Decoder(data[:length])
            decoder.get(pmfs)
            decoder.finish()


def test_data_that_go_on_are_refused() -> None:
    pmfs = mixtures(50)
    decoder = Decoder(encoded(pmfs, draw(pmfs), [50]) + bytes(4))
    decoder.get(pmfs)
    with pytest.raises(ValueError, match="go on after"):
        decoder.finish()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 100))
def test_any_bytes_give_values_or_an_error(data: bytes, seed: int) -> None:
    pmfs = mixtures(150, seed=seed)
    try:
        values = Decoder(data).get(pmfs)
    except ValueError:
        return
    assert ((pmfs.low <= values) & (values <= pmfs.high)).all()


def test_a_code_that_no_symbol_has_is_refused() -> None:
    """width = 2^64 - 1 is no multiple of 2^24: the last code of all is in no share."""
    with pytest.raises(ValueError, match="damaged"):
        Decoder(b"\xff" * 8).get(mixtures(1))


@pytest.mark.parametrize("share", [(-1, 2), (0, 0), (5, -1), (2**24 - 1, 2), (2**24, 1)])
def test_shares_out_of_range_are_refused(share: Share) -> None:
    with pytest.raises(ValueError, match="share of at least 1"):
        encode([share], 24)


@pytest.mark.parametrize("precision", [0, 33])
def test_precision_out_of_range_is_refused(precision: int) -> None:
    with pytest.raises(ValueError, match="precision of 1 to 32"):
        encode([(0, 1)], precision)


def test_numbers_that_do_not_match_are_refused() -> None:
    pmfs = mixtures(3)
    with pytest.raises(ValueError, match="3 distributions"):
        Encoder().put(pmfs, pmfs.low[:2])
    with pytest.raises(ValueError, match="do not match"):
        Encoder().put_shares(np.zeros(2, np.int64), np.ones(3, np.int64), 24)
