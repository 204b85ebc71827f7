"""Keeps events whose handling failed in a file, one JSON object a line, and ingests them again (F6).

The file is rotated by size: `failed.jsonl`, then `failed.jsonl.1` and so on, the highest number being the oldest.
"""

from .letters import DeadLetter, LineFailure, WrittenError
from .reading import Replay, read, replay
from .writing import DeadLetters

__all__ = ["DeadLetter", "DeadLetters", "LineFailure", "Replay", "WrittenError", "read", "replay"]
