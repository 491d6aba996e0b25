"""What was typed after `:`, kept from one day to the next in the state directory."""

from __future__ import annotations

from pathlib import Path

from sentinel import files

KEPT = 200
MAX_CHARS = 400


class History:
    """The last commands, oldest first; a line that begins with a blank is not kept, as in a shell."""

    def __init__(self, path: Path | None = None) -> None:
        """Read them from `path`; with none, or where it cannot be read, they last as long as this."""
        self._path = path
        self._lines = _read(path) if path else []

    def add(self, line: str) -> None:
        """Keep `line`, and only its last occurrence."""
        if not line.strip() or line.startswith(" "):
            return
        kept = line.strip()[:MAX_CHARS]
        self._lines = [*(old for old in self._lines if old != kept), kept][-KEPT:]
        self._save()

    def older(self, than: int, prefix: str) -> int:
        """Return the index of the newest line before index `than` that begins with `prefix`, or -1."""
        return next((i for i in range(than - 1, -1, -1) if self._lines[i].startswith(prefix)), -1)

    def newer(self, than: int, prefix: str) -> int:
        """Return the index of the oldest line after index `than` that begins with `prefix`, or its end."""
        later = range(than + 1, len(self._lines))
        return next((i for i in later if self._lines[i].startswith(prefix)), len(self._lines))

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, index: int) -> str:
        return self._lines[index]

    def _save(self) -> None:
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            files.write(self._path, "".join(f"{x}\n" for x in self._lines).encode(), 0o600)
        except OSError:
            self._path = None  # a home that cannot be written to is no reason to stop, or to say so


def _read(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")[-KEPT * MAX_CHARS :]
    except (OSError, UnicodeDecodeError):
        return []
    lines = [line for line in text.splitlines() if line.isprintable() and line.strip()]
    return [line[:MAX_CHARS] for line in lines][-KEPT:]
