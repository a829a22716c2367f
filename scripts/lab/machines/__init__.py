"""A machine that runs a kernel: started, watched, attached to."""
