# Shrimpy. `make help` lists what there is.

CPUS ?=
MEM ?= $(SHRIMPY_MEM)
export SHRIMPY_MEM := $(MEM)
KERNEL ?=
GDBPORT ?=
PROGRAM ?=
PID ?=
READY ?=
CORE ?=
RECORDING ?=
CHECKPOINT ?=
TARGET ?=
FRY ?=
SHRIMP ?=
export SHRIMPY_FRY := $(FRY)
export SHRIMPY_SHRIMP := $(SHRIMP)
JSON ?=
OUT ?=
POINTS ?=
ONLY ?=
PROFILE ?=
STARTER ?=
COURSE ?=
LAY ?=
LIMIT ?=
ROOT ?=
LIVE ?=
STEP ?=
SANDBOX ?= $(SHRIMPY_SANDBOX)
export SHRIMPY_SANDBOX := $(SANDBOX)

# Which Python and which compilers there are is for the recipes to find out, after set-up.
PYTHON := scripts/python
# Not -m, which would put this folder on Python's path: gdb/ is no module.
PYTEST := $(PYTHON) -c 'import sys; del sys.path[0]; import pytest; sys.exit(pytest.main())'
# One more than there are cores: a test now and then only waits for its machine. A file is one worker's: what its tests
# share is made once.
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
# A value of the command line as one word of the shell's, whatever is in it.
quoted = '$(subst ','\'',$(1))'
WHERE = --kernel $(call quoted,$(KERNEL)) --cpus $(call quoted,$(CPUS))

.PHONY: help setup doctor build demo check qemu qemu-gdb live gdb record core diagrams film test soak busy zoo faults golden lint matrix bench clean judged autograder vscode site
.SILENT:

help:
	echo 'make demo       boot, run a family of processes, judge their page tables, draw them'
	echo 'make test       every test, and make lint first'
	echo 'make qemu       boot in this terminal'
	echo 'make qemu-gdb   boot in this terminal and wait for `make gdb` in another'
	echo 'make live       boot in this terminal beside a page that shows the machine, or show the one that runs already'
	echo 'make gdb        GDB with the kit, on that machine (or on a core: CORE=build/core)'
	echo 'make record     record a run on one hart, for GDB to go through in both directions: make gdb RECORDING=build/recording'
	echo 'make check      the verdict without a person: status 0 pass, 1 fail, 2 not judged'
	echo 'make core       write build/core, an ELF core of the running machine or of a new one'
	echo 'make diagrams   every figure for a report, and a page that shows them: build/diagrams/index.html'
	echo 'make film       films how fork makes a process: build/diagrams/film.html'
	echo 'make bench      instructions per operation, and how long things take'
	echo 'make soak       the long tests, with the seeds they ran with'
	echo 'make golden     write the golden files of the sentences, and the outputs in README.md and docs/, anew'
	echo 'make lint       static analysis of the kernel, of all Python and of the shell scripts'
	echo 'make busy       is the verdict the same beside LOAD=40 other processes, in RUNS=20 runs of a kernel, AT_ONCE=1?'
	echo 'make zoo        every known mistake, built into a kernel, and the rule that finds it'
	echo 'make faults     how many of 40 slips, put into the kit one at a time, the tests find: hours'
	echo 'make matrix     set-up, what people run and every test, in fresh Debians 12 and 13: an hour or more'
	echo 'make build      the kernel and its disk, and nothing else'
	echo 'make setup      install what is missing; make doctor says what is there'
	echo 'make autograder STARTER=tree OUT=autograder.zip  what a course uploads to Gradescope: docs/courses.md'
	echo 'make vscode     write what VS Code needs to debug a kernel into its .vscode: docs/editors.md'
	echo 'make site       write the handbook (README.md and docs/) as HTML with a search: build/site/index.html'
	echo 'make clean      remove what was built'
	echo
	echo 'KERNEL=path     your own xv6 tree, or a kernel ELF file; nothing is added to the tree'
	echo 'CPUS=n          harts, 1 to 8; when not given as many as the tree says, or 3'
	echo 'RECORDING=dir   gdb: on a recorded run, at its start: continue, or xv6-goto END, and back from there'
	echo 'CHECKPOINT=file gdb: on a machine where a check failed: OUT=dir has it in checkpoint.zip'
	echo 'MEM=n           MiB of RAM that our own kernel has; 128 when not given'
	echo 'GDBPORT=n       qemu-gdb listens on 127.0.0.1:n and not on a private socket'
	echo 'LIVE=1          qemu, qemu-gdb: beside a page that shows the machine, at each stop of GDB too'
	echo 'PROGRAM=line    check, film, record: what to type; READY=pattern: what it prints when there is something to see'
	echo 'PARENT=name     film: the first fork of a process called so, not of whoever forks first'
	echo 'TARGET=host:n   gdb, check: a machine that your tree or you started, listening there'
	echo 'FRY=addr SHRIMP=addr  where the two pages are, for a kernel whose headers do not say'
	echo 'PID=n,...       diagrams: the processes that figures of one process are drawn of, or all'
	echo 'JSON=1          check: the verdicts as JSON'
	echo 'WHO=1           qemu-gdb, check: note who stored each word of RAM last, for xv6-who and the columns of xv6-walk'
	echo 'LOCKS=1         check: is each access to what a lock guards made with that lock held? qemu-gdb: for xv6-guards'
	echo 'ONLY=name,...   check: only these scenarios, such as ONLY=exec,orphan'
	echo 'PLAY=seed       check: other random sequences of operations; 1 when not given'
	echo 'PROFILE=handout check: what the lab handout does not ask for is a warning; PROFILE=strict when not given'
	echo 'OUT=dir         check: leave marks there, POINTS=file: what each rule is worth; diagrams: draw there;'
	echo '                record: leave the recording there'
	echo 'ROOT=suite STEP=name  matrix: of bookworm, trixie; of demo, check, film, diagrams, autograder, editors, test'
	echo 'SHRIMPY_BUILD=dir  everything that is made goes there, and not into build/ and xv6/'
	echo 'SANDBOX=none    build a tree that you trust where there is no bubblewrap'

setup:
	scripts/setup

doctor:
	scripts/doctor

build:
	scripts/setup run
	$(PYTHON) scripts/build

demo:
	scripts/setup run debug draw
	$(PYTHON) scripts/demo $(WHERE)

# make says 2 whatever a recipe's status was, but 1 when it was asked (-q) and
# a target is not up to date. So check alone runs asked: lines with + run all
# the same, and a line without stands for a rule that failed. That one has is
# told by a file, which is there only in between.
ifeq ($(MAKECMDGOALS),check)
MAKEFLAGS += -q
endif
FAILED := $(shell mktemp -u "$${TMPDIR:-/tmp}/shrimpy-failed-XXXXXXXXXX")

check: judged
	$(if $(shell test -e $(call quoted,$(FAILED)) && echo failed; rm -f $(call quoted,$(FAILED))),exit 1)

judged:
	+scripts/setup run debug >&2
	+$(PYTHON) scripts/check $(WHERE) \
		$(if $(PROGRAM),--program $(call quoted,$(PROGRAM))) $(if $(READY),--ready $(call quoted,$(READY))) \
		$(if $(ONLY),--only $(call quoted,$(ONLY))) $(if $(PROFILE),--profile $(call quoted,$(PROFILE))) \
		$(if $(JSON),--json) $(if $(CORE),--core $(call quoted,$(CORE))) \
		$(if $(TARGET),--target $(call quoted,$(TARGET))) \
		$(if $(OUT),--out $(call quoted,$(OUT))) $(if $(POINTS),--points $(call quoted,$(POINTS))); \
		case $$? in 0) ;; 1) set -C; : >$(call quoted,$(FAILED)) || exit 2 ;; *) exit 2 ;; esac

qemu:
	scripts/setup run
	$(PYTHON) scripts/launch $(WHERE) $(if $(LIVE),--live)

qemu-gdb:
	scripts/setup run debug
	$(PYTHON) scripts/launch $(WHERE) --gdb $(if $(GDBPORT),--gdb-port $(call quoted,$(GDBPORT))) $(if $(LIVE),--live)

live:
	scripts/setup run debug
	$(PYTHON) scripts/live $(WHERE)

gdb:
	scripts/setup debug
	$(PYTHON) scripts/debug --kernel $(call quoted,$(KERNEL)) $(if $(CORE),--core $(call quoted,$(CORE))) $(if $(TARGET),--target $(call quoted,$(TARGET))) \
		$(if $(RECORDING),--recording $(call quoted,$(RECORDING))) $(if $(CHECKPOINT),--checkpoint $(call quoted,$(CHECKPOINT)))

record:
	scripts/setup run
	$(PYTHON) scripts/record $(WHERE) $(if $(PROGRAM),--program $(call quoted,$(PROGRAM))) \
		$(if $(READY),--ready $(call quoted,$(READY))) $(if $(OUT),--out $(call quoted,$(OUT)))

core:
	scripts/setup run
	$(PYTHON) scripts/core $(WHERE)

diagrams:
	scripts/setup run debug draw
	$(PYTHON) scripts/diagrams $(WHERE) $(if $(PID),--pid $(call quoted,$(PID))) $(if $(OUT),--out $(call quoted,$(OUT)))

film:
	scripts/setup run debug draw
	$(PYTHON) scripts/film $(WHERE) $(if $(PROGRAM),--program $(call quoted,$(PROGRAM))) $(if $(PARENT),--parent $(call quoted,$(PARENT)))

test:
	scripts/setup
	$(PYTHON) scripts/lint
	$(PYTHON) scripts/build
	$(PYTEST) -n $(WORKERS) --dist loadfile -q tests

bench:
	scripts/setup run debug
	$(PYTHON) scripts/bench
	$(PYTHON) scripts/bench-kit
	$(PYTHON) scripts/bench-replay
	$(PYTHON) scripts/bench-plugins
	$(PYTHON) scripts/bench-live

soak:
	scripts/setup
	$(PYTEST) -n $(WORKERS) --dist loadfile -v -rP tests --soak

LOAD ?= 40
RUNS ?= 20
AT_ONCE ?= 1
busy:
	scripts/setup run debug test
	$(PYTHON) tests/busy.py --load $(call quoted,$(LOAD)) --runs $(call quoted,$(RUNS)) --at-once $(call quoted,$(AT_ONCE)) $(if $(KERNEL),$(call quoted,$(KERNEL)))

zoo:
	scripts/setup run debug test
	$(PYTHON) tests/zoo/mistakes.py
	$(PYTHON) tests/zoo/reach.py

faults:
	scripts/setup
	$(PYTHON) tests/faults.py

matrix:
	scripts/setup run
	$(PYTHON) scripts/matrix --root $(call quoted,$(ROOT)) --step $(call quoted,$(STEP)) --dry-run >/dev/null
	scripts/setup matrix
	$(PYTHON) scripts/matrix --root $(call quoted,$(ROOT)) --step $(call quoted,$(STEP))

golden:
	scripts/setup run debug test
	$(PYTEST) -q tests -k golden --golden
	$(PYTHON) scripts/examples

lint:
	scripts/setup run test
	$(PYTHON) scripts/lint

autograder:
	scripts/setup run
	$(PYTHON) scripts/autograder $(if $(STARTER),--starter $(call quoted,$(STARTER))) $(if $(COURSE),--course $(call quoted,$(COURSE))) \
		$(if $(POINTS),--points $(call quoted,$(POINTS))) $(if $(PROFILE),--profile $(call quoted,$(PROFILE))) \
		$(if $(LAY),--lay $(call quoted,$(LAY))) $(if $(ONLY),--only $(call quoted,$(ONLY))) \
		$(if $(LIMIT),--limit $(call quoted,$(LIMIT))) $(call quoted,$(or $(OUT),autograder.zip))

vscode:
	scripts/setup run debug
	$(PYTHON) scripts/vscode --kernel $(call quoted,$(KERNEL)) $(if $(GDBPORT),--gdb-port $(call quoted,$(GDBPORT)))

site:
	scripts/setup site draw
	$(PYTHON) tests/viz/rule_figures.py $(call quoted,$(or $(SHRIMPY_BUILD),build)/rules)
	$(PYTHON) scripts/site --figures $(call quoted,$(or $(SHRIMPY_BUILD),build)/rules)

clean:
	$(PYTHON) scripts/build --clean
