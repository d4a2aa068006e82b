"""The one door to the terminal: whatever is printed passes here, and what is foreign in it is harmless.

Names, answers, questions, paths and error texts come from files, models and servers. Escape sequences in
them would move the cursor or rewrite what stands above; marks that turn the reading direction would
show another text than the one that is there; markup would colour it. All is spelled out instead.
"""

from truing.terminal.streams import ends_quietly, prepare_streams, say, say_defect
from truing.terminal.text import harmless

__all__ = ["ends_quietly", "harmless", "prepare_streams", "say", "say_defect"]
