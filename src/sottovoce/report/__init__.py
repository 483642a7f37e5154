"""The report: one HTML file that shows an evaluation, offline, on screen and on paper.

Owns the page, its figures, tables and words, and the same as files of their own. Only draws: every
number comes from `evaluation`. Does not know files of chats, labels or scores. Needs the extra
`report` (matplotlib, jinja2), which is imported when a report is written.
"""

from sottovoce.report.content import Example, Provenance, Report, installed_versions
from sottovoce.report.folder import PAGE, Written, replacing, write_report_folder
from sottovoce.report.page import write_report

__all__ = [
    "PAGE",
    "Example",
    "Provenance",
    "Report",
    "Written",
    "installed_versions",
    "replacing",
    "write_report",
    "write_report_folder",
]
