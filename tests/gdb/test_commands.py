"""The commands: their help, their arguments, their answers as JSON."""

from __future__ import annotations

import json
import os
import re
import signal

import pexpect
import pytest

from lab import tools
from lab.machines import debugger

RAM_END = 0x80000000 + (int(os.environ["SHRIMPY_MEM"]) << 20)
COMMANDS = ("shrimp-check", "shrimp-explain", "shrimp-draw", "shrimp-step", "shrimpy", "xv6-ps", "xv6-tree",
            "xv6-harts", "xv6-vmmap", "xv6-walk", "xv6-rmap", "xv6-frames", "xv6-diff",
            "xv6-snapshot", "xv6-user", "xv6-break", "xv6-catch", "xv6-when", "xv6-goto", "xv6-back", "xv6-back-continue", "xv6-why",
            "xv6-checkpoint", "xv6-restore", "shrimp-live",
            "xv6-fault", "xv6-vmprint", "xv6-locks", "xv6-find", "shrimp-attach", "xv6-allocs",
            "xv6-who", "xv6-guards")


def parsed(said):
    return [json.loads(line) for line in said.splitlines() if re.match(r'\{"|\[\{"', line)]


def test_every_command_has_a_summary_and_a_usage_line(asked):
    said = asked(*(line for c in COMMANDS for line in (f"echo @{c}@\\n", f"help {c}")))
    for command in COMMANDS:
        text = said.partition(f"@{command}@\n")[2].split("@")[0].splitlines()
        assert re.fullmatch(r"[A-Z].*\.", text[0]), text
        assert text[1].startswith(f"Usage: {command}"), text


@pytest.mark.parametrize("line, wanted", [
    ("shrimp-check 999", "no process has pid 999; pids: 1, 2"),
    ("shrimp-explain shrimp-pear", "expected one of below-trapframe, shrimp-pair, "),
    ("xv6-vmmap 999", "no process has pid 999; pids: 1, 2"),
    ("xv6-vmmap nobody", "expected a pid, found 'nobody'"),
    ("xv6-vmmap 1 2", "expected at most 1 argument, found 2; usage: xv6-vmmap"),
    ("xv6-walk", "expected VA; usage: xv6-walk"),
    ("xv6-walk fry 1 2", "expected at most 2 arguments, found 3"),
    ("xv6-tree 1", "expected no arguments, found 1; usage"),
    ("xv6-walk nosuch 1", "expected a virtual address or the name of a region, found 'nosuch'"),
    ("xv6-rmap", "expected PA; usage: xv6-rmap"),
    ("xv6-ps -nosuch", "no option -nosuch; usage: xv6-ps [-json]"),
    ("xv6-snapshot", "expected FILE; usage"),
    ("xv6-snapshot /nonexistent/folder/file", "expected a file to write, found /nonexistent/folder/file: No such"),
    ("xv6-diff /nonexistent", "expected a snapshot, found /nonexistent: No such file"),
    ("xv6-diff /dev/null", "expected a snapshot, found /dev/null: "),
    ("xv6-diff /etc/passwd", "try one that xv6-snapshot wrote"),
    ("shrimp-draw nosuchfigure", "expected one of family, matrix, ram, fault, address-space, table, walk, diff, found 'nosuchfigure'"),
    ("shrimp-draw -pids nobody -o /dev/null", "shrimp-draw: "),
    ("shrimp-draw -o", "expected FILE after -o"),
    ("shrimp-draw table 999", "no process has pid 999; pids: 1, 2"),
    ("shrimp-draw table 1 2", "expected one PID after table, found '1' and '2'"),
    ("shrimp-draw walk nosuch 1", "expected a virtual address or the name of a region, found 'nosuch'"),
    ("shrimp-draw ram 1", "expected nothing after ram, found '1'"),
    ("shrimp-draw table -pids 1,2", "expected -pids with family or matrix only"),
    ("shrimp-draw diff", "expected an earlier snapshot to compare with"),
    ("xv6-fault 999", "no process has pid 999; pids: 1, 2"),
    ("xv6-vmprint 999", "no process has pid 999; pids: 1, 2"),
    ("xv6-vmprint -diff /nonexistent", "no process runs on hart 0"),
    ("xv6-vmprint 1 -diff /nonexistent", "expected a printout, found /nonexistent: No such file"),
    ("xv6-vmprint 1 -diff /dev/null", "/dev/null: expected a line \"page table 0x...\""),
    ("xv6-locks 1", "expected no arguments, found 1; usage"),
    ("xv6-find", "expected VALUE; usage: xv6-find"),
    ("xv6-find &nosuch", "expected a value; for a text, add -text, found '&nosuch'"),
    ("xv6-find 0x100 -size 1", "0x100 does not fit in 1 byte"),
    ("xv6-find 1 0x10-0x20", f"expected frames of RAM, [0x80000000, {RAM_END:#x}), found 0x10-0x20"),
    ("xv6-find 1 999", "no process has pid 999; pids: 1, 2"),
    ("shrimp-attach nowhere", "expected host:port, a port of this host or the path of a socket, found 'nowhere'"),
    ("xv6-allocs", "expected COMMAND; usage: xv6-allocs"),
    ("xv6-break main 999", "no process has pid 999"),
    ("xv6-break nosuch 1", "no function 'nosuch'"),
    ("xv6-catch nosuch", "nosuch"),
    ("set shrimpy fry nosuch", "expected an address or auto"),
    ("set shrimpy fry 0x123", "expected the address of a page"),
    ("print $proc(999)", "no process has pid 999"),
    ("print $proc()", "expected $proc(PID)"),
    ("print $phys(1, 0x3ffffff000000)", "pid 1"),
])
def test_a_wrong_argument_is_one_line(asked, line, wanted):
    said = asked("echo @@\\n", line).partition("@@\n")[2]
    errors = [one for one in said.splitlines() if one.startswith("error:")]
    assert len(errors) == 1 and wanted in errors[0], said
    assert not re.search(r"Traceback|Errno|viz: ", said)


def test_tab_completes_pids_regions_options_and_programs(asked):
    said = asked(*(f"complete {line}" for line in
                         ("xv6-vmmap 6", "xv6-vmmap k", "xv6-walk f", "xv6-walk fry k", "xv6-ps -", "xv6-catch s",
                          "xv6-v", "shrimp-", "set shrimpy f", "xv6-walk SH", "xv6-break ru", "shrimp-draw f", "shrimp-draw walk s")))
    for line in ("xv6-vmmap 6", "xv6-vmmap kernel", "xv6-walk fry", "xv6-walk fry kernel",
                 "xv6-ps -json", "xv6-catch sh", "xv6-catch shrimpdemo", "xv6-vmmap", "shrimp-check",
                 "set shrimpy fry", "xv6-walk SHRIMP", "xv6-break run", "shrimp-draw family", "shrimp-draw fault", "shrimp-draw walk shrimp"):
        assert line in said.splitlines(), said


def test_a_completer_is_asked_for_no_word_first_and_says_whether_files_are_meant(asked):
    """As GDB does (16 prints what is raised then)."""
    code = ("import gc, json; from shrimpy.commands.base import Command; "
             "ours = {c.name: c for c in gc.get_objects() if isinstance(c, Command)}; "
             "texts = ('', ' ', '6', '-', '-j', 'walk -o ', '-o /tmp/a-b', 'fry k', '\"', 'a b c d e f'); "
             "print(json.dumps({name: ['file' if a == gdb.COMPLETE_FILENAME else a for a in map(c.complete, texts, [None] * 10)]"
             " for name, c in ours.items()}))")
    [answers] = parsed(asked("python " + code))
    assert len(answers) >= 16
    for name, given in answers.items():
        assert all(one in ([], "file") for one in given), (name, given)
    assert answers["xv6-snapshot"][:5] == ["file"] * 5 and answers["xv6-diff"][:5] == ["file"] * 3 + [[]] * 2
    assert answers["shrimp-draw"][5:7] == ["file"] * 2 and answers["xv6-ps"] == [[]] * 10


def test_a_completer_that_fails_offers_nothing(family, ask):
    broken = ("import shrimpy.commands.base as base, gc; "
              "base.candidates = lambda wanted: 1 / 0; "
              "[vmmap] = [c for c in gc.get_objects() if isinstance(c, base.Command) and c.name == 'xv6-vmmap']; "
              "print('offered', vmmap.complete('6', '6'))")
    assert "offered []" in ask(family, "python " + broken)


def test_json_agrees_with_itself(asked):
    said = asked("xv6-ps -json", "xv6-harts -json", "xv6-vmmap -json 3", "xv6-walk -json fry 3",
               "xv6-frames -json", "shrimp-check -json", "xv6-tree -json")
    ps, harts, vmmap, walk, frames, check, tree = parsed(said)
    assert [p["pid"] for p in ps] == [1, 2, 3, 4, 5, 6] == [p["pid"] for p in tree]
    assert [h["hart"] for h in harts["harts"]] == [0, 1, 2]
    fry = next(m for m in vmmap["mappings"] if m["region"] == "fry")
    assert walk["pa"] == fry["pa"] and walk["steps"][-1]["pte_at"] == fry["pte_at"]
    assert walk["may"]["user"] == {"read": True, "write": True, "execute": False}
    [rmap] = parsed(asked(f"xv6-rmap -json {fry['pa']}"))
    assert {(u["pid"], u["va"]) for u in rmap["users"]} == {
        (3, "0x3fffffd000"), *((p["pid"], "0x3fffffc000") for p in ps if p["parent"] == 3)}
    totals = frames["totals"]
    assert totals.pop("ram") == sum(totals.values())
    assert check["status"] == 0 and check["schema"] == "shrimpy-verdicts"


def test_walk_explains_with_commands_that_find_the_same(asked):
    said = asked("xv6-walk fry 4")
    entries = re.findall(r"^ +\d +\d+ +(0x\w+) +(0x\w{16}) ", said, re.M)
    assert len(entries) == 3
    may = {(who, kind): said for who, kind, said in re.findall(r"^  (user|kernel) +(\w+) +(yes|no)\b", said, re.M)}
    assert [one for one, said in may.items() if said == "yes"] == [("user", "read"), ("user", "write")] and len(may) == 6
    by_hand = [line.strip() for line in said.splitlines() if "monitor xp" in line]
    again = asked(*by_hand[:3])
    assert [value for _, value in entries] == re.findall(r": (0x\w{16})", again)


def test_an_address_beyond_the_table_or_ram_says_only_that(asked):
    walked, found = asked("echo @\\n", "xv6-walk 0x4000000000 4", "echo @\\n", "xv6-rmap FRY").split("@\n")[1:]
    assert "page fault" in walked and "by hand" not in walked and "LEVEL" not in walked
    assert "outside RAM" in found and "$phys(PID, VA)" in found and "refs" not in found


def test_large_variables_are_printed(asked):
    assert "freelist = 0x" in asked("print kmem")


def test_convenience_functions_and_printers(family, ask):
    said = ask(family, "print $proc(3)->pid", "print $proc(3)->name", "print/x $phys(3, 0x3fffffd000)",
               "print *$proc(3)", "print $proc(3)->pagetable", "print (pte_t)0x200338d7", "xv6-walk -json fry 3")
    pa = parsed(said)[0]["pa"]
    assert "$1 = 3\n" in said
    assert '$2 = "shrimpdemo' in said
    assert f"$3 = {pa}\n" in said
    assert "$4 = pid 3 'shrimpdemo' SLEEPING" in said
    assert re.search(r"\$5 = 0x8\w+ \(2 valid, 510 invalid\)", said)
    assert "leaf VRW-U-AD -> 0x800ce000" in said


def test_diff_tells_what_changed(machine, session):
    one = machine(1)
    gdb = session(one)
    assert "the first snapshot" in gdb.ask("xv6-diff")
    assert gdb.ask("xv6-diff") == "nothing changed\n"
    one.send("echo hello")
    gdb.ask("xv6-catch echo")
    gdb.ask("continue")
    said = gdb.ask("xv6-diff")
    assert re.search(r"\+ +process +3 .*echo", said), said
    assert re.search(r"\+ +pte +3 +0x3fffffc000 .*shrimp", said), said
    assert gdb.ask("xv6-diff") == "nothing changed\n"


def test_check_sets_its_status_for_scripts(family, ask):
    assert "$1 = 0" in ask(family, "shrimp-check", "print $shrimp_status")
    said = ask(family, "set shrimpy fry 0x3fffff0000", "set shrimpy shrimp 0x3ffffef000", "shrimp-check",
               "print $shrimp_status")
    assert "$1 = 1" in said and "FAIL" in said


def test_check_of_one_process_judges_that_one(family, ask):
    said = ask(family, "shrimp-check 4", "print $shrimp_status", "set shrimpy fry 0x3fffff0000", "set shrimpy shrimp 0x3ffffef000",
               "shrimp-check -json 4", "print $shrimp_status")
    assert re.search(r"^PASS: \d+ verdicts", said, re.M) and "$1 = 0" in said and "$2 = 1" in said
    [told] = parsed(said)
    assert {(v["pid"] or v["about"]["process"]["pid"]) for v in told["verdicts"]} == {4}
    assert {v["rule"] for v in told["verdicts"]} >= {"shrimp-pair", "fry-flags", "table-private"} and told["status"] == 1


def test_a_pass_says_what_it_is_worth_and_a_failure_what_to_type_next(family, ask):
    right, wrong = ask(family, "shrimp-check"), ask(family, *WRONG, "shrimp-check")
    assert "\nPASS at this stop. `make check` plays the rest.\n" in right and "at this stop" not in wrong
    typed = re.findall(r"^  next +(.*)", wrong, re.M)
    assert typed and all("shrimp-explain" in one for one in typed)
    said = ask(family, *(one for line in typed for one in line.split(";  ") if one.startswith(("xv6-", "shrimp-explain", "p/x"))))
    assert "error:" not in said, said


def test_explain_tells_a_rule_and_help_lists_them(asked):
    said = asked("shrimp-explain shrimp-pair", "shrimp-explain", "help shrimp-explain", "complete shrimp-explain orphan")
    assert "What usually breaks it" in said and "xv6-walk SHRIMP PID" in said
    assert len(re.findall(r"^ *orphan-alive  ", said, re.M)) == 2 and "\nshrimp-explain orphan-alive\n" in said


def test_rmap_takes_an_expression_with_blanks(asked):
    said = asked("xv6-rmap $phys(4, SHRIMP)")
    assert "error:" not in said and said == asked("xv6-rmap $phys(3,FRY)")


def test_draw_writes_a_figure(asked, tmp_path):
    asked(f"shrimp-draw -o {tmp_path}/family.svg")
    text = (tmp_path / "family.svg").read_text()
    assert "<svg" in text and "shrimpdemo" in text


COLOUR = re.compile(r"\x1b\[[0-9;]+m")


def test_colour_follows_gdbs_style(family, session):
    gdb = session(family, term="xterm")
    gdb.ask("set style enabled on")
    assert COLOUR.search(gdb.ask("shrimp-check"))
    gdb.ask("set style enabled off")
    assert not COLOUR.search(gdb.ask("shrimp-check"))


def test_no_colour_where_it_would_be_noise(family, ask, session):
    assert not COLOUR.search(ask(family, "set style enabled on", "shrimp-check"))
    dumb = session(family, term="dumb")
    dumb.ask("set style enabled on")
    assert not COLOUR.search(dumb.ask("shrimp-check"))


def styled(machine, session):
    """A GDB at a terminal that can show colour, and may."""
    gdb = session(machine, term="xterm")
    gdb.ask("set style enabled on")
    return gdb


def test_colour_is_for_a_terminal_and_not_for_what_is_caught(family, session, tmp_path):
    gdb = styled(family, session)
    for width, height in ((80, 24), (0, 24), (80, 0), (0, 0)):
        gdb.ask(f"set width {width}")
        gdb.ask(f"set height {height}")
        assert_that_what_is_caught_has_no_colour(gdb, tmp_path / f"{width}x{height}")


def assert_that_what_is_caught_has_no_colour(gdb, tmp_path):
    tmp_path.mkdir()
    assert COLOUR.search(gdb.ask("xv6-ps"))
    assert COLOUR.search(gdb.ask("xv6-p"))
    gdb.ask(f"pipe xv6-ps | cat > {tmp_path}/piped")
    gdb.ask(f"| shrimp-check | cat > {tmp_path}/checked")
    gdb.ask(f"python open('{tmp_path}/caught', 'w').write(gdb.execute('shrimp-check', to_string=True))")
    gdb.ask(f"set logging file {tmp_path}/log")
    gdb.ask("set logging enabled on")
    assert COLOUR.search(gdb.ask("xv6-ps"))
    gdb.ask("set logging redirect on")
    gdb.ask("xv6-tree")
    gdb.ask("set logging enabled off")
    gdb.ask("set logging redirect off")
    for name, word in {"piped": "shrimpdemo", "checked": "shrimp-pair", "caught": "shrimp-pair", "log": "shrimpdemo"}.items():
        said = (tmp_path / name).read_text()
        assert word in said and "\x1b[" not in said, (name, said)


def test_a_machine_interface_gets_no_escape_codes(family):
    """At a terminal too, as front ends start GDB; each line of MI's is a string of C's, where an escape is \\033."""
    gdb = pexpect.spawn(tools.gdb(), ["-nx", "-q", "-i=mi", str(family.kernel.elf)], encoding="utf-8", timeout=600, echo=False,
                        env={**os.environ, "TERM": "xterm", "DEBUGINFOD_URLS": ""})
    try:
        for line in (f"source {debugger.KIT}", "set style enabled on", f"target remote {family.gdb_target}", "shrimp-check",
                     "xv6-ps"):
            gdb.sendline(f'-interpreter-exec console "{line}"')
            gdb.expect(r"\^(done|running|connected|error)[^\n]*\n")
            assert gdb.match[1] != "error", gdb.match[0]
            assert "\x1b" not in gdb.before and "\\033" not in gdb.before and "\\e[" not in gdb.before, gdb.before
        assert "SLEEPING" in gdb.before
    finally:
        gdb.kill(signal.SIGKILL)
        gdb.wait()
        gdb.close()


WRONG = ("set shrimpy fry 0x3fffff0000", "set shrimpy shrimp 0x3ffffef000")


@pytest.mark.parametrize("before", [(), WRONG], ids=["PASS", "FAIL"])
def test_lines_break_between_words(family, ask, before):
    """Every line fits, and the words are those of lines without an end."""
    columns = (60, 80, 100, 200)
    # What the first check says of an earlier snapshot, which it lacks, the others do not.
    said = ask(family, *before, "shrimp-check -v", *(line for n in (0, *columns) for line in (f"set width {n}", "echo @@\\n", "shrimp-check -v")))
    endless, *fitted = [one.partition("\n[Inferior ")[0] for one in said.split("@@\n")[1:]]
    for n, one in zip(columns, fitted, strict=True):
        assert max(len(line) for line in one.splitlines()) <= max(n, 80)
        assert one.split() and sorted(one.split()) == sorted(endless.split())


@pytest.mark.parametrize("before, verdict", [((), "PASS"), (WRONG, "FAIL")])
def test_the_verdict_is_on_the_first_page_then_the_failures(family, session, before, verdict):
    gdb = session(family)
    for line in (*before, "set height 24", "set width 80", "set pagination on"):
        gdb.ask(line)
    gdb.tell("shrimp-check")
    page = gdb.until("--Type <RET>").replace("\r", "").replace("(gdb) ", "").splitlines()
    assert page[0].startswith(verdict)
    rows = [at for at, line in enumerate(page) if line.split()[:1] == ["RULE"]]
    failures = [at for at, line in enumerate(page) if line.startswith("FAIL ")]
    assert failures and not rows if before else rows and not failures
    gdb.tell("q")
