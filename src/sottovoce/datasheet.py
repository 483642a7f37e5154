"""The datasheet of the data set that an evaluation is on, as Markdown.

Owns the form. Does not know the questions nor the answers (`report.checklists`).
"""

from pathlib import Path

from sottovoce.datasets import Dataset
from sottovoce.report import Report
from sottovoce.report.checklists import datasheet
from sottovoce.report.markdown import plain

OPEN = "*Open: for those who hold the data.*"


def write_datasheet(path: Path, dataset: Dataset, report: Report) -> Path:
    """Write what the run knows of the data set; what it does not know is marked open.

    Parameters
    ----------
    path
        Where it goes; what stands there is replaced.
    dataset, report
        The data set, and the evaluation on it.

    Returns
    -------
    Path
        The file.
    """
    sheet = datasheet(report, dataset)
    lines = [f"# Datasheet: {plain(dataset.title)}", "", f"After {sheet.citation}.", ""]
    if dataset.simulated:
        lines += ["**Simulated people; never evidence of clinical accuracy.**", ""]
    lines.append(f"{sheet.counted}.")
    section = None
    for row in sheet.rows:
        if row.section != section:
            section = row.section
            lines += ["", f"## {section}"]
        answer = OPEN if row.answer is None else plain(row.answer)
        lines += ["", f"**{row.number} {row.asks}** {answer}"]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path
