"""The report's sections in their order; a section without content does not appear.

Owns the order: the result and what it is worth first, for whom it holds, then how it was made.
Does not know what a section says.
"""

from collections.abc import Sequence

from sottovoce.report import accounts, results, rivals, trust
from sottovoce.report.checklists import Checklist
from sottovoce.report.content import Report
from sottovoce.report.section import Section
from sottovoce.report.study import beside_the_study


def sections(report: Report, checklists: Sequence[Checklist] = ()) -> tuple[Section, ...]:
    """Give every section that has something to say."""
    found = (
        results.result(report),
        rivals.comparison(report),
        beside_the_study(report),
        rivals.ablation(report),
        results.severity(report),
        results.cut_offs(report),
        results.thresholds(report),
        results.probabilities(report),
        results.intervals(report),
        results.abstaining(report),
        trust.groups(report),
        trust.suite(report),
        trust.robustness(report),
        accounts.persons(report),
        accounts.accounting(report),
        accounts.limits(report),
        accounts.reporting(checklists),
        accounts.provenance(report),
    )
    return tuple(section for section in found if section is not None)
