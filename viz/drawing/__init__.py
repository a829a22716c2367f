"""Figures of a Shrimpy snapshot. Uses Python's standard library and Graphviz's dot."""
