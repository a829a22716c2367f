"""What is said of data: the only sentences about verdicts and findings. Nothing here decides anything, and no other
module makes such a sentence."""

from . import common, explain, findings, origins, played, rules, verdicts

__all__ = ["common", "explain", "findings", "origins", "played", "rules", "verdicts"]
