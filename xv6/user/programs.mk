# What is made from user/; included by ../Makefile, which sets CC, LD, OBJCOPY
# and CFLAGS. UPROGS are names; user/_NAME keeps its symbols for GDB,
# user/stripped/_NAME is what goes on the disk: it must fit in MAXFILE blocks.

UPROGS = init sh cat echo grep kill ln ls mkdir rm wc \
	zombie forktest stressfs usertests bench shrimptest shrimpdemo $(PPROGS)

# Those that include POSIX's headers instead of user.h: user/posix/NAME.c.
PPROGS = shmsample ipcs ipcrm posixtest

ULIB = user/start.o user/usys.o user/string.o user/printf.o user/malloc.o \
	user/input.o

PLIB = user/start.o user/string.o user/malloc.o user/posix/lib/call.o \
	$(sort $(patsubst %.c,%.o,$(wildcard user/posix/lib/*.c)))

UCFLAGS = $(filter-out -O%,$(CFLAGS)) -O2
ULDFLAGS = -z max-page-size=4096 -T user/user.ld

# Programs of more than one file.
user/_shrimptest: user/memory.o
user/_usertests: user/memory.o user/tests_args.o user/tests_file.o user/tests_dir.o \
	user/tests_disk.o user/tests_pipe.o user/tests_proc.o user/tests_exec.o \
	user/tests_mem.o user/tests_shrimp.o user/tests_shm.o

# The compiler must not turn memcpy's loop into a call of memcpy.
user/string.o: UCFLAGS += -fno-tree-loop-distribute-patterns

user/%.o: user/%.c
	$(CC) $(UCFLAGS) -MMD -MP -c -o $@ $<

user/posix/%.o: UCFLAGS += -Iuser/posix/include

# Old programs leave types and headers out, which a compiler for Linux warns of, too. GCC 14 wants it said by name.
$(PPROGS:%=user/posix/%.o): UCFLAGS += -Wno-error -Wno-error=implicit-int \
	-Wno-error=implicit-function-declaration

user/%.o: user/%.S
	$(CC) $(UCFLAGS) -MMD -MP -c -o $@ $<

user/_%: user/%.o $(ULIB) user/user.ld
	$(LD) $(ULDFLAGS) -o $@ $(filter %.o,$^)

$(PPROGS:%=user/_%): user/_%: user/posix/%.o $(PLIB) user/user.ld
	$(LD) $(ULDFLAGS) -o $@ $(filter %.o,$^)

user/stripped/_%: user/_%
	@mkdir -p $(@D)
	$(OBJCOPY) --strip-all $< $@

.PRECIOUS: user/%.o user/_%

-include $(wildcard user/*.d user/posix/*.d user/posix/lib/*.d)
