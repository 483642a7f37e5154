import subprocess
import sys

import pytest

from sottovoce.errors import DataError
from sottovoce.readers import FORMATS, read


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_a_reader_of_its_kind(name):
    used = FORMATS[name]
    assert used.kind in ("chats", "labels")
    assert callable(used.function)
    assert "\n" not in used.summary


def test_importing_the_registry_imports_no_reader():
    code = (
        "import sottovoce.readers, sys; "
        "print([m for m in sys.modules if m.startswith('sottovoce.readers.') "
        "and not m.endswith('options')], 'pyarrow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] False"


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(DataError, match="the format is not known; use one of openai-chat"):
        list(read(tmp_path, "word"))
