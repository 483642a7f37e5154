"""What the metrics package may not do."""

import subprocess
import sys


def test_the_metrics_import_numpy_and_no_other_library():
    program = (
        "import sys, sottovoce.metrics\n"
        "heavy = {'sklearn', 'scipy', 'pandas', 'matplotlib', 'torch', 'jinja2'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
