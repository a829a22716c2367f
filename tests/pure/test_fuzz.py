"""Bad memory is a finding in finite time: no exception, no endless walk."""

import pytest
from fuzz import Fuzzer
from machine import BASE, FRY, SHRIMP, family

CONSTANTS = {"fry": FRY, "shrimp": SHRIMP, "fry_from": "macro"}


@pytest.fixture(scope="module")
def fuzzer():
    m = family(n_frames=256, nproc=16)
    m.write_free_list()
    return Fuzzer(m.ram, BASE, m.info, CONSTANTS)


def test_the_image_is_sound_and_is_put_right_after_each_run(fuzzer):
    before = bytes(fuzzer.ram)
    for seed in range(20):
        fuzzer.run(seed, 5)
    assert bytes(fuzzer.ram) == before
    assert fuzzer.look() == fuzzer.sound


def test_corruptions_are_seen(fuzzer):
    """Most single corruptions change a verdict or add a finding: the fuzzer bites."""
    seen = 0
    for seed in range(100):
        snapshot, verdicts = fuzzer.run(seed, 1)
        seen += bool(verdicts["fail"] or snapshot != fuzzer.sound)
    assert seen > 60


@pytest.mark.parametrize("block", range(5))
def test_any_corruption_is_a_finding_in_finite_time(fuzzer, block):
    for seed in range(1000 + 100 * block, 1100 + 100 * block):
        fuzzer.run(seed, 1 + seed % 7)


@pytest.mark.soak
@pytest.mark.limit(3600)
def test_twenty_thousand_corruptions(fuzzer):
    for seed in range(20000):
        fuzzer.run(seed, 1 + seed % 9)
