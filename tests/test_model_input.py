import hashlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import tiny
from transformers import AutoTokenizer

from sottovoce.cohort import Window
from sottovoce.conversations import Message
from sottovoce.errors import DataError, ModelError
from sottovoce.estimates import Dropped
from sottovoce.model_input import Renderer, Rendering, frame, tokenizer_fingerprint


@pytest.fixture(scope="module")
def tokenizer(tiny_qwen):
    return AutoTokenizer.from_pretrained(tiny_qwen)


def render(window, tokenizer, rendering, max_length):
    return Renderer.of(tokenizer, rendering, max_length).render(window)


def text_of(rendered, tokenizer, role=None):
    return [
        tokenizer.decode(segment.token_ids[span.start : span.end])
        for segment in rendered.segments
        for span in segment.spans
        if role in (None, span.role)
    ]


@pytest.mark.parametrize("layout", ["chat", "turns", "plain"])
def test_each_span_is_the_text_of_its_message(tokenizer, layout):
    window = tiny.window("ada", tiny.SAYINGS[:3])
    rendering = Rendering(roles=("user", "assistant"), layout=layout)
    rendered = render(window, tokenizer, rendering, 512)
    assert text_of(rendered, tokenizer) == [message.content for message in window.messages]


def test_only_the_person_is_read_by_default(tokenizer):
    rendered = render(tiny.window("ada", tiny.SAYINGS[:2]), tokenizer, Rendering(), 512)
    assert text_of(rendered, tokenizer) == list(tiny.SAYINGS[:2])
    assert rendered.n_messages == 2


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        ("chat", "<|start|>user\nHello.<|end|>\n<|start|>assistant\nTell me more.<|end|>\n"),
        ("turns", "user: Hello.\nassistant: Tell me more.\n"),
        ("plain", "Hello.\nTell me more.\n"),
    ],
)
def test_a_layout_frames_messages_and_leaves_out_the_templates_system_text(tokenizer, layout, text):
    rendering = Rendering(roles=("user", "assistant"), layout=layout)
    rendered = render(tiny.window("ada", ["Hello."]), tokenizer, rendering, 512)
    (segment,) = rendered.segments
    assert tokenizer.decode(segment.token_ids) == text


def test_chat_markers_are_special_tokens_and_the_same_text_in_a_message_is_not(tokenizer):
    rendered = render(tiny.window("ada", ["<|end|> hi"]), tokenizer, Rendering(), 512)
    (segment,) = rendered.segments
    (span,) = segment.spans
    text = segment.token_ids[span.start : span.end]
    assert tokenizer.eos_token_id not in text
    assert segment.token_ids[0] == tokenizer.bos_token_id
    assert segment.token_ids[span.end] == tokenizer.eos_token_id


def test_a_tokenizer_without_a_template_says_which_layouts_are_left(tokenizer, tiny_qwen):
    bare = AutoTokenizer.from_pretrained(tiny_qwen)
    bare.chat_template = None
    with pytest.raises(ModelError, match="use the layout turns or plain"):
        Renderer.of(bare, Rendering(), 512)
    bare.chat_template = "{{ messages[0]['content'] }}"
    with pytest.raises(ModelError, match="cannot be taken apart"):
        Renderer.of(bare, Rendering(), 512)


def test_an_encoder_keeps_its_own_frame_around_every_segment(tiny_bert):
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    assert frame(tokenizer) == ((1,), (0,))
    window = tiny.window("ada", tiny.SAYINGS)
    rendered = render(window, tokenizer, Rendering(layout="plain"), 48)
    assert len(rendered.segments) > 1
    for segment in rendered.segments:
        assert (segment.token_ids[0], segment.token_ids[-1]) == (1, 0)


TEXTS = st.text(st.characters(codec="utf-8"), max_size=80)
LAYOUTS = st.sampled_from(["chat", "turns", "plain"])


def dialogue(said):
    """Give a window of these roles and texts."""
    moments = [tiny.NOON - timedelta(minutes=len(said) - n) for n in range(len(said))]
    messages = [Message(*each, at) for each, at in zip(said, moments, strict=True)]
    return Window("ada", moments[0] - timedelta(days=1), tiny.NOON, tuple(messages))


def kept_of(rendered, said, role):
    """Give which of the role's messages are there, oldest 0; a blank one has no span."""
    spans = {span.message for segment in rendered.segments for span in segment.spans}
    own = [number for number, (speaker, _) in enumerate(said) if speaker == role]
    return [place for place, number in enumerate(own) if number in spans]


@given(
    st.lists(st.tuples(st.sampled_from(["user", "assistant"]), TEXTS), min_size=1, max_size=12),
    st.integers(8, 60),
    st.integers(4, 300),
    LAYOUTS,
)
@settings(max_examples=80)
def test_the_budget_drops_the_companion_first_and_then_the_oldest_and_counts_it(
    tokenizer, said, max_length, budget, layout
):
    rendering = Rendering(("user", "assistant"), layout, budget)
    window, spoken = dialogue(said), [text for role, text in said if role == "user"]
    try:
        rendered = render(window, tokenizer, rendering, max_length)
    except DataError:
        # too small for the frame of the newest message, or the person said nothing in it
        assert budget <= 40 or not spoken or not spoken[-1]
        return
    assert all(len(segment.token_ids) <= max_length for segment in rendered.segments)
    assert rendered.n_tokens <= budget
    whole = render(window, tokenizer, replace(rendering, max_tokens=10**6), 4096)
    lost = rendered.dropped
    assert whole.dropped == Dropped()
    assert rendered.n_messages + lost.user_messages + lost.assistant_messages == len(said)
    assert rendered.n_tokens + lost.user_tokens + lost.assistant_tokens == whole.n_tokens
    for role, dropped in (("user", lost.user_messages), ("assistant", lost.assistant_messages)):
        there = [place for place in kept_of(whole, said, role) if place >= dropped]
        assert kept_of(rendered, said, role) == there
    if lost.user_tokens:
        assert lost.assistant_messages == len(said) - len(spoken)


@given(st.lists(TEXTS, min_size=1, max_size=12), st.integers(4, 300), LAYOUTS)
@settings(max_examples=60)
def test_of_the_person_alone_the_newest_whole_messages_that_fit_are_read(
    tokenizer, sayings, budget, layout
):
    window, rendering = tiny.window("ada", sayings), Rendering(layout=layout, max_tokens=budget)
    try:
        rendered = render(window, tokenizer, rendering, 4096)
    except DataError:
        assert budget <= 40 or not sayings[-1]
        return
    each = [
        render(tiny.window("ada", ["x", text]), tokenizer, Rendering(layout=layout), 4096)
        for text in sayings
    ]
    alone = render(tiny.window("ada", ["x"]), tokenizer, Rendering(layout=layout), 4096).n_tokens
    sizes = [one.n_tokens - alone for one in each]
    fits = [n for n in range(1, len(sizes) + 1) if sum(sizes[-n:]) <= budget]
    assert rendered.n_messages == max(fits, default=1)
    whole = render(window, tokenizer, Rendering(layout=layout), 4096)
    kept, everything = (
        [token for segment in one.segments for token in segment.token_ids]
        for one in (rendered, whole)
    )
    if fits:
        assert kept == everything[len(everything) - len(kept) :]
    else:
        newest = everything[len(everything) - sizes[-1] :]
        assert kept == newest[:budget]


def test_the_companion_is_not_read_while_a_message_of_the_person_is_dropped(tokenizer):
    said = [("user", tiny.SAYINGS[0]), ("assistant", "Oh."), ("user", tiny.SAYINGS[1])]
    both = Rendering(("user", "assistant"), "turns")
    whole = render(dialogue(said), tokenizer, both, 512)
    sizes = [render(dialogue([each]), tokenizer, both, 512).n_tokens for each in said[::2]]
    reply = whole.n_tokens - sum(sizes)
    read = {}
    for budget in (whole.n_tokens, whole.n_tokens - 1, sum(sizes), sum(sizes) - 1, sizes[1] - 1):
        rendered = render(dialogue(said), tokenizer, replace(both, max_tokens=budget), 512)
        read[budget] = (text_of(rendered, tokenizer), rendered.dropped)
    texts = [text for _, text in said]
    assert read[whole.n_tokens] == (texts, Dropped())
    assert read[whole.n_tokens - 1] == (texts[::2], Dropped(0, 1, 0, reply))
    assert read[sum(sizes)] == (texts[::2], Dropped(0, 1, 0, reply))
    assert read[sum(sizes) - 1] == (texts[2:], Dropped(1, 1, sizes[0], reply))
    (beginning,), lost = read[sizes[1] - 1]
    assert texts[2].startswith(beginning)
    assert lost == Dropped(1, 1, sizes[0] + 1, reply)


def test_a_message_longer_than_the_context_is_cut_inside_and_keeps_its_number(tokenizer):
    long = " ".join(tiny.SAYINGS)
    window = tiny.window("ada", ["Hi.", long])
    rendered = render(window, tokenizer, Rendering(layout="plain"), 24)
    numbers = [span.message for segment in rendered.segments for span in segment.spans]
    assert numbers[0] == 0
    assert set(numbers[1:]) == {1}
    assert "".join(text_of(rendered, tokenizer)) == f"Hi.{long}"


@pytest.mark.parametrize("wrong", [{"roles": ("assistant",)}, {"max_tokens": 0}])
def test_a_rendering_that_reads_nothing_is_refused(wrong):
    with pytest.raises(DataError):
        Rendering(**wrong)


def test_a_window_without_a_message_is_refused(tokenizer):
    with pytest.raises(DataError, match="no message"):
        render(tiny.window("ada", []), tokenizer, Rendering(), 512)


def test_every_setting_changes_the_fingerprint():
    fingerprints = {
        Rendering().fingerprint,
        Rendering(layout="turns").fingerprint,
        Rendering(layout="plain").fingerprint,
        Rendering(max_tokens=9).fingerprint,
        Rendering(roles=("user", "assistant")).fingerprint,
    }
    assert len(fingerprints) == 5
    assert Rendering().fingerprint == Rendering().fingerprint


def test_estimators_of_the_person_s_messages_alone_are_still_those_of_the_first_version():
    settings = {"layout": "chat", "max_tokens": 4096, "roles": ["user"], "version": 1}
    known = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    assert Rendering().fingerprint == known
    both = json.dumps(settings | {"roles": ["user", "assistant"]}, sort_keys=True).encode()
    refused = hashlib.sha256(both).hexdigest()
    assert Rendering(roles=("user", "assistant")).fingerprint != refused


def test_another_tokenizer_has_another_fingerprint(tokenizer, tiny_bert, tiny_qwen):
    again = AutoTokenizer.from_pretrained(tiny_qwen)
    assert tokenizer_fingerprint(tokenizer) == tokenizer_fingerprint(again)
    other = AutoTokenizer.from_pretrained(tiny_bert)
    assert tokenizer_fingerprint(other) != tokenizer_fingerprint(tokenizer)
