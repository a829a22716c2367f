# A kernel that prints MESSAGE on the UART (16550, transmit register at 0) and
# then echoes what is typed, or does not when SILENT is defined. With WITH_PMP
# it writes pmpaddr0 as kernels of 2022 and later do.
.globl _start
_start:
	csrr a0, mhartid
	bnez a0, rest
#ifdef WITH_PMP
	li t0, -1
	csrw pmpaddr0, t0
#endif
	li s0, 0x10000000
	la s1, message
print:
	lb t0, 0(s1)
	beqz t0, echo
	sb t0, 0(s0)
	addi s1, s1, 1
	j print
echo:
#ifdef SILENT
	j rest
#endif
	lb t1, 5(s0)
	andi t1, t1, 1
	beqz t1, echo
	lb t0, 0(s0)
	sb t0, 0(s0)
	j echo
rest:
	wfi
	j rest
message:
	.asciz MESSAGE
