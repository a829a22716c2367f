"""Bad memory is a finding in finite time: no exception, no endless walk."""

import pytest
from fuzz import Fuzzer
from machine import BASE, FRY, SHRIMP, family
from shrimpy.kernel.debuginfo import DebugInfo

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


@pytest.fixture
def real(machine, gdb, tmp_path):
    """A fuzzer of the RAM of a machine that runs shrimpdemo."""
    one = machine(3)
    one.send("shrimpdemo &")
    one.wait_for(r"shrimpdemo: ready[^\n]*\n")
    info, ram = tmp_path / "info.json", tmp_path / "ram"
    gdb(one.kernel.elf, [
        "python from shrimpy.live.session import session; import shutil; "
        f"open({str(info)!r}, 'w').write(session.debuginfo()[0].to_json()); "
        f"shutil.copyfile({str(one.ram_file)!r}, {str(ram)!r})"], target=one.gdb_target)
    known = DebugInfo.from_json(info.read_text())
    return Fuzzer(bytearray(ram.read_bytes()), BASE, known, {
        "fry": known.macros["FRY"], "shrimp": known.macros["SHRIMP"], "fry_from": "macro"})


@pytest.mark.soak
@pytest.mark.limit(3600)
def test_twenty_thousand_corruptions_of_a_real_image(real):
    assert not any(real.run(0, 0)[1]["fail"] for _ in range(2))
    for seed in range(20000):
        real.run(seed, 1 + seed % 9)
