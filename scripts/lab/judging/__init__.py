"""What is played on a kernel, where it is looked at, and what came of it."""
