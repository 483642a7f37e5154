"""Writes small files and reads them through the registry, as the command line does."""

import json

import pytest

from sottovoce.errors import DataError
from sottovoce.readers import ReadOptions, Tally, read


class Reading:
    """``reading(text_or_records, format, **options)`` gives the records; `tally` the counts."""

    def __init__(self, folder):
        self.path, self.tally = folder / "in.txt", Tally()

    def __call__(self, content, name, **options):
        if isinstance(content, list):
            content = "\n".join(map(json.dumps, content))
        if isinstance(content, str):
            content = content.encode()
        self.path.write_bytes(content)
        self.tally = Tally()
        return list(read(self.path, name, ReadOptions(**options), self.tally))

    def refusal(self, content, name, **options):
        """Give the sentence with which the content is refused, without the folder."""
        with pytest.raises(DataError) as caught:
            self(content, name, **options)
        return str(caught.value).replace(f"{self.path.parent}/", "")


@pytest.fixture
def reading(tmp_path):
    return Reading(tmp_path)
