"""What annotating costs: tokens of prompt, transcript and answer of the bundled people, counted.

Counted with the tokenizer of SmolLM2, the one at hand; that of a hosted model differs, and its
reasoning is not in the recorded answers. The transcripts are de-identified by patterns, as they
would be sent; the answers are the recorded annotator's, in the form that is asked for.
"""

import json
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.shared import options, show
from sottovoce import bundled
from sottovoce.annotate.annotator import Request
from sottovoce.annotate.budget import expected_input, worst_case
from sottovoce.annotate.prompt import Asking, load_prompt
from sottovoce.annotate.replay import answer_of
from sottovoce.annotate.work import cut_windows, make_tasks, requests_of
from sottovoce.annotations import Annotation
from sottovoce.backbones import locate
from sottovoce.cohort import WindowRules
from sottovoce.deidentify import open_deidentifier
from sottovoce.disclosure import disclose
from sottovoce.instruments import PHQ_9

KEY = b"benchmark of annotation tokens, the same names every time"


def main() -> None:
    """Print the table."""
    given = options(__doc__ or "")
    windows, _ = cut_windows(bundled.CHATS, WindowRules())
    sent = disclose(windows, None, open_deidentifier("patterns", KEY), trusted=True)
    asking = Asking(load_prompt(PHQ_9), "anyone")
    requests = requests_of(make_tasks(windows, sent, asking))
    annotations = [each for split in bundled.SPLITS for each in bundled.annotations(split)]
    rows = counted(requests, annotations, tokenizer())
    show("annotation_tokens", "Tokens of annotating a bundled person (SmolLM2's)", rows, given)


def tokenizer() -> Callable[[str], int]:
    """Give a function that counts the tokens of a text."""
    from transformers import AutoTokenizer

    made: Any = AutoTokenizer.from_pretrained(locate("smollm2-135m").folder)
    return lambda text: len(made(text)["input_ids"])


def counted(
    requests: Sequence[Request],
    annotations: Sequence[Annotation],
    count: Callable[[str], int],
) -> list[dict[str, Any]]:
    """Give each part's tokens, and what the estimate and the upper limit make of the input."""
    system, form = count(requests[0].system), count(json.dumps(requests[0].schema))
    texts = [count(each.text) for each in requests]
    estimates = [
        expected_input(each) / (system + text) for each, text in zip(requests, texts, strict=True)
    ]
    limits = [
        worst_case(each).input / (system + text + form)
        for each, text in zip(requests, texts, strict=True)
    ]
    parts: dict[str, Sequence[float]] = {
        "prompt": [system],
        "schema": [form],
        "transcript": texts,
        "answer, without reasoning": [count(answer_of(each)) for each in annotations],
        "estimated input over counted": estimates,
        "upper limit of input over counted": limits,
    }
    return [
        {
            "name": name,
            "n": len(values),
            "mean": statistics.fmean(values),
            "least": min(values),
            "most": max(values),
        }
        for name, values in parts.items()
    ]


if __name__ == "__main__":
    main()
