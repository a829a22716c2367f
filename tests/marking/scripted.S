# A kernel that asks GDB to run a script: one that it brings in a section (GDB, "The .debug_gdb_scripts section").
.globl _start
_start:	j _start
.section .debug_gdb_scripts, "MS", @progbits, 1
	.byte 4
	.ascii "gdb.inlined-script\n"
	.ascii "open('by-section', 'w')\n"
	.byte 0
