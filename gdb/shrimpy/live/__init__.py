"""What GDB has selected now: the session, the stop, symbols, stacks. All of it imports gdb."""
