"""Figures and films of a machine, drawn by viz/."""
