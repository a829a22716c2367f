"""One fork, from one thing that happens to the next. Needs gdb, but for the film's file."""
