"""The error that a person is told about."""


class VizError(Exception):
    """Its text is one line: what was expected, what was found, where, what to try."""
