"""ShareGPT: ``{"id", "conversations": [{"from": "human|gpt|system", "value"}, ...]}``.

Owns the shape of that record, in a JSON array or one a line. Does not know what becomes of a
turn (`turns`) or of a time (`clock`). Streams either way: memory holds one conversation.

The format names no person and no time. Whose a conversation is stands in ``user_id`` or in the
field named by ``user_id=FIELD``; ``user_id=conversation_id`` says that every conversation is
another person's. Its time is that of each turn or of the conversation where an export added
one, else the option `start`.
"""

from collections.abc import Iterator
from pathlib import Path

from sottovoce.conversations import Conversation
from sottovoce.readers.documents import read_objects
from sottovoce.readers.options import ReadOptions, Tally
from sottovoce.readers.records import Shape, read_records


def read_sharegpt(
    path: str | Path, options: ReadOptions | None = None, tally: Tally | None = None
) -> Iterator[Conversation]:
    """Read ShareGPT chats, a JSON array or JSONL, one at a time (see `read_records`)."""
    shape = Shape("conversations", "from", "value")
    return read_records(read_objects(path), path, shape, options, tally)
