# Builds somebody else's tree, in the folder where it lies, without its Makefile.
# Of that, recipe.py has read which objects there are, and gives:
#   CC LD        the cross tools
#   KOBJS ULIB   the kernel's objects, in the order they are linked in; the library's
#   UPROGS       the programs, user/_NAME
#   FILES        what mkfs puts on the disk
#   DEFINES      -D and -I of its CFLAGS; WERROR its -Werror
#   ULINK        how a program is laid out
# and a line for each program of several objects.

# -O, as most trees have it. Above it loops become calls of what they define.
CFLAGS = -O -Wall $(WERROR) -fno-omit-frame-pointer -march=rv64gc -mcmodel=medany -mno-relax -ffreestanding \
	-nostdlib -fno-common -fno-builtin -fno-stack-protector -fno-pie -fno-asynchronous-unwind-tables \
	-fno-tree-loop-distribute-patterns -I. $(DEFINES)
LDFLAGS = -z max-page-size=4096

all: kernel/kernel fs.img
.PHONY: all
.SUFFIXES:
.SECONDARY:

kernel/kernel: $(KOBJS) kernel/kernel.ld
	$(LD) $(LDFLAGS) -T kernel/kernel.ld -o $@ $(KOBJS)

# Each object is linked by itself, which dissolves the groups that the macros of
# its headers are in: ld for RISC-V loses references to groups.
kernel/%.o: kernel/%.c $(RECIPE)
	$(CC) $(CFLAGS) -ggdb3 -MMD -MT $@ -MF $(@:.o=.d) -no-pie -r -Wl,--force-group-allocation -o $@ $<
kernel/%.o: kernel/%.S $(RECIPE)
	$(CC) $(CFLAGS) -ggdb3 -MMD -c -o $@ $<

# Programs without macros: they must fit on the disk.
user/%.o: user/%.c $(RECIPE)
	$(CC) $(CFLAGS) -ggdb -MMD -c -o $@ $<
user/%.o: user/%.S $(RECIPE)
	$(CC) $(CFLAGS) -ggdb -MMD -c -o $@ $<
user/%.S: user/%.pl
	perl $< >$@

user/_%: user/%.o $(ULIB)
	$(LD) $(LDFLAGS) $(ULINK) -o $@ $(filter %.o,$^)

mkfs/mkfs: mkfs/mkfs.c $(wildcard kernel/*.h) $(RECIPE)
	gcc $(WERROR) -Wall -I. $(DEFINES) -o $@ $<

fs.img: mkfs/mkfs $(FILES)
	mkfs/mkfs $@ $(FILES)

-include $(wildcard kernel/*.d user/*.d)
