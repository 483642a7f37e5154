"""Annotators: a reasoning model reads transcripts and says how a questionnaire would come out.

Owns who is asked (`Annotator`), what they are told (`prompt`), what counts as an answer
(`answer`), that nothing is paid for twice (`store`) nor beyond a budget (`budget`), and the order
of work (`run`, `batch`). Nothing is asked that did not pass `sottovoce.disclosure`. Does not know
what is learnt from annotations.
"""
