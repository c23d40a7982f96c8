"""Files of exports: arrays of JSON and tables, written value by value, for their owner alone."""

import csv
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Self


def _open(path: Path) -> Any:
    """Open a new file for its owner alone; the caller closes it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    return os.fdopen(descriptor, "w", encoding="utf-8", newline="")


def write_text(path: Path, text: str) -> None:
    """Write a new file."""
    with closing(_open(path)) as file:
        file.write(text)


class ArrayFile:
    """A JSON file of one array, by itself or under the name *of*, written value by value."""

    def __init__(self, path: Path, *, of: str = "") -> None:
        self.path, self.count, self.size = path, 0, 0
        self._file = _open(path)
        self._closing = "\n]}\n" if of else "\n]\n"
        self._file.write(f'{{"{of}": [' if of else "[")

    def write(self, value: Mapping[str, Any]) -> None:
        """Append a value."""
        text = json.dumps(value, ensure_ascii=False)
        self._file.write((",\n" if self.count else "\n") + text)
        self.count += 1
        self.size += len(text.encode())

    def close(self) -> None:
        """End the array; without it the file is no JSON."""
        self._file.write(self._closing)
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class TableFile:
    """A CSV file, written row by row."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.count = 0
        self._file = _open(path)
        self._writer = csv.writer(self._file)
        self._writer.writerow(columns)

    def write(self, row: Sequence[object]) -> None:
        """Append a row."""
        self._writer.writerow(row)
        self.count += 1

    def take(self, rows: Iterator[Sequence[object]], most: int) -> bool:
        """Write up to *most* of *rows*; say whether there may be more."""
        for row in rows:
            self.write(row)
            if self.count == most:
                return True
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
