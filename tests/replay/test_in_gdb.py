"""GDB goes through a recording in both directions, and the kit sees the machine that is there."""

from __future__ import annotations

import json
import random
import re

import pytest

from lab.replay import trail


def at(said: str) -> int:
    return int(re.search(r"instruction ([\d,]+) of", said)[1].replace(",", ""))


LOOK = "xv6-when", "xv6-ps", "info registers", "x/4gx $sp"


def test_steps_back_and_as_many_forward_lead_to_the_same_machine(ask):
    said = ask("break sys_exec", "continue", *LOOK, "reverse-stepi 4", "xv6-when", "stepi 4", *LOOK)
    assert said[2:6] == said[9:13]
    assert at(said[7]) < at(said[2])


@pytest.mark.parametrize("n, seed", [(2, 1), pytest.param(100, 2, marks=[pytest.mark.soak, pytest.mark.limit(3600)])])
def test_steps_back_and_as_many_forward_give_the_same_snapshot_anywhere(recorded, ask, tmp_path, n, seed):
    chance = random.Random(seed)
    for number in range(n):
        steps, (now, again) = chance.choice((1, 5, 40, 100)), (tmp_path / f"{number}", tmp_path / f"{number}-again")
        said = ask(f"xv6-goto {chance.randrange(1_500_000, recorded.end)}", f"xv6-snapshot {now}", "info registers",
                   f"reverse-stepi {steps}", f"stepi {steps}", f"xv6-snapshot {again}", "info registers")
        assert said[2] == said[6]
        assert now.read_bytes() == again.read_bytes()


def test_steps_back_through_an_interrupt_are_those_forward(recorded, ask):
    said = ask("break *&kernelvec", "continue", "delete", "info registers", *["stepi", "info registers"] * 2,
               *["reverse-stepi", "info registers"] * 3, *["stepi", "info registers"] * 3)
    forward = [said[3], said[5], said[7]]
    back, again = said[9:14:2], said[15:20:2]
    assert back[:2] == forward[1::-1]
    assert again == forward


def test_continuing_back_leads_to_the_last_breakpoint_and_then_to_the_beginning(ask):
    said = ask("tbreak exec", "continue", "xv6-when", "break exec", "xv6-goto END", "xv6-back-continue", "xv6-back-continue",
               "xv6-back-continue", "xv6-when", "xv6-back-continue", "xv6-when", "reverse-stepi", "xv6-goto END", "continue", "stepi")
    assert at(said[8]) == at(said[2])
    ended = re.compile("No more reverse-execution history|Reached end of recorded history")     # of GDB 13; of GDB 16
    assert ended.search(said[9]) and at(said[10]) == 0
    assert all(ended.search(one) for one in (said[11], said[13], said[14]))


def test_a_watchpoint_is_hit_going_back_with_its_values_exchanged(ask):
    said = ask("xv6-goto END", "watch proc[1].pagetable", "reverse-continue", "xv6-when", "continue", "reverse-continue", "xv6-when")
    old, new = re.findall(r"(?:Old|New) value = (\w+)", said[2])
    assert re.findall(r"(?:Old|New) value = (\w+)", said[5]) == [old, new]
    assert at(said[3]) == at(said[6])
    assert "p->pagetable = im.pagetable;" in said[2]


def test_lines_and_functions_are_gone_back(ask):
    said = ask("break kfree", "xv6-goto END", "reverse-continue", "delete", "reverse-finish", "xv6-back", "reverse-next")
    assert all(re.search(r"^\d+\t", one, re.M) for one in said[4:]), said


def test_the_kit_sees_the_machine_that_is_there(ask):
    said = ask("break exec", "continue", "continue", "xv6-ps", "xv6-goto END", "xv6-ps", "xv6-back-continue", "xv6-back-continue", "xv6-ps")
    assert said[3] == said[8] != said[5]


def test_nothing_is_written(ask):
    said = ask("xv6-goto END", "print proc[0].pid", "print proc[0].pid = 77", "set var $a0 = 77", "print proc[0].pid", "print $a0 == 77")
    assert said[2].startswith("error:") and said[3].startswith("error:")
    assert said[4].split("=")[1] == said[1].split("=")[1]
    assert said[5].endswith("= 0\n")


def test_a_step_of_shrimp_step_is_taken_back(ask):
    said = ask("break fork", "continue", "delete", *["shrimp-step"] * 4, "xv6-back", "xv6-back", "shrimp-step", "xv6-back -stepi")
    assert said[7] == said[5] and said[8] == said[4] and said[9] == said[5]


def test_a_wrong_place_is_told(ask):
    said = ask("xv6-goto 99999999999", "xv6-goto nowhere", "xv6-goto START", "xv6-when")
    assert "expected an instruction from 0 to" in said[0]
    assert "expected an instruction's number" in said[1]
    assert at(said[3]) == 0


def test_why_tells_the_stores_of_an_entry(ask):
    said = ask("xv6-goto END", "xv6-why -json shrimp 2", "xv6-why -all -json proc[2].state", "xv6-why shrimp 2", "xv6-why proc[1]",
               "xv6-why 0x1000", "xv6-why nosuch", "xv6-when")
    shrimp = json.loads(said[1])["stores"]
    assert [call["function"] for call in shrimp[0]["calls"]] == ["mappages", "proc_pagetable", "exec", "sys_exec", "syscall", "usertrap"]
    assert shrimp[0]["system_call"].startswith('exec("sh"') and shrimp[0]["old"] == "0x0"
    states = json.loads(said[2])["stores"]
    assert [one["new"] for one in states][-1:] == ["0x1"]   # oldest last: a slot is taken
    assert all(later["old"] == earlier["new"] for later, earlier in zip(states, states[1:]))
    assert "mappages < proc_pagetable < exec" in said[3]
    assert all(one.startswith("error: xv6-why: ") and one.count("\n") == 1 for one in said[4:7])


def test_the_last_of_many_stores_which_were_only_noted_on_the_way_is_told_as_when_each_is_looked_at(ask):
    said = ask("xv6-goto END", "xv6-why -json kmem.freelist", "xv6-why -all -json kmem.freelist")
    (last, *others), every = (json.loads(one)["stores"] for one in said[1:])
    assert len(every) > 100 and not others
    assert last == every[0]
    assert [json.loads(one)["unseen"] for one in said[1:]] == [[], []]


def test_a_store_is_where_goto_leads(ask):
    found = json.loads(ask("xv6-goto END", "xv6-why -json proc[1].pagetable")[1])["stores"][0]
    said = ask(f"xv6-goto {found['instruction']}", "print/x (long)proc[1].pagetable", "stepi", "print/x (long)proc[1].pagetable")
    assert [said[1].split()[-1], said[3].split()[-1]] == [found["old"], found["new"]]


def test_lines_back_take_few_machines_and_lead_where_instructions_do(recorded, ask, monkeypatch):
    started = []
    replay = type(recorded).replay
    monkeypatch.setattr(type(recorded), "replay", lambda self: started.append(1) or replay(self))

    def machines(*commands):
        started.clear()
        said = ask("tbreak mappages", "continue", "next", "next", *commands, "info registers", "x/32gx $sp")
        return len(started), said

    def seen(*commands):
        started.clear()
        ask(*commands)
        return len(started)

    in_a_vector = "tbreak *&machinevec", "continue", "stepi 12"
    assert seen("xv6-goto END") == seen()
    assert seen("xv6-goto END", "reverse-stepi 5") <= seen() + 1    # how it came there is known, if not all that GDB asks there
    assert seen(*in_a_vector, "reverse-stepi 10") <= seen(*in_a_vector) + 3
    few, said = machines("reverse-next")
    where = re.search(r"pc +0x(\w+)", said[-2])[1]
    assert machines(f"tbreak *0x{where}", "reverse-continue")[1][-2:] == said[-2:]
    monkeypatch.setattr(trail, "STEPS", 1)
    many, again = machines("reverse-next")
    assert again == said and many > few + 2


@pytest.mark.soak
def test_machines_that_stand_by_lead_where_new_ones_do(recorded, ask):
    chance, commands = random.Random(7), ["break mappages", "continue", "continue"]
    for _ in range(2):
        commands += ["reverse-stepi 3", *LOOK, "reverse-stepi 70", *LOOK, "reverse-next", *LOOK, "xv6-back-continue", *LOOK,
                     f"xv6-goto {chance.randrange(1_500_000, recorded.end)}", *LOOK, "xv6-goto END", "reverse-stepi", *LOOK]
    assert ask(*commands, ahead=True) == ask(*commands)


def test_what_people_ask_is_answered_on_a_recording_wherever_it_stands(ask):
    there = ("xv6-fault 1", "xv6-vmprint 1", "xv6-vmprint -json 1", "xv6-locks", "xv6-find -json 'init: starting'", "xv6-vmmap 1",
             "xv6-harts -bt")
    said = ask("tbreak sys_wait", "continue", *there, "xv6-allocs ls", "xv6-goto START", "xv6-fault", "xv6-locks", "xv6-harts -bt",
               "xv6-goto END", "xv6-allocs -json ls", "shrimp-attach nowhere", "xv6-harts -bt")
    fault, printed, table, locks, found, mapped, stacks, counted = said[2:10]
    assert "pid 1 (init): no fault" in fault and "no lock is held" in locks
    assert printed.startswith("page table 0x") and json.loads(table)["complete"]
    assert {one["kind"] for one in json.loads(found)["hits"]} >= {"kernel-image"} and "trampoline" in mapped
    assert re.search(r"^init > .* > sys_wait  <- hart 0 pid 1", stacks)
    assert "type it" not in counted and "uvmcopy" in counted and "nothing stayed" in counted
    before, nothing, first = said[11:14]
    assert before.startswith("error: xv6-fault: no process runs") and "no lock is held" in nothing
    assert first == "0x1000  <- hart 0 (its callers are not known)\n"
    assert "the recording ends before" in said[15] and said[16].startswith("error: shrimp-attach: ") and "<- hart 0" in said[17]
