"""What a search takes: rows that have each of its words."""

from __future__ import annotations


def has(words: str, *texts: str) -> bool:
    """Say whether each of `words` is in one of `texts`, in whatever case."""
    there = "\n".join(texts).casefold()
    return all(word in there for word in words.casefold().split())
