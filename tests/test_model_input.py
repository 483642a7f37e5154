import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import tiny
from transformers import AutoTokenizer

from sottovoce.errors import DataError, ModelError
from sottovoce.model_input import Rendering, frame, render, tokenizer_fingerprint


@pytest.fixture(scope="module")
def tokenizer(tiny_qwen):
    return AutoTokenizer.from_pretrained(tiny_qwen)


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
        render(tiny.window("ada", ["Hello."]), bare, Rendering(), 512)
    bare.chat_template = "{{ messages[0]['content'] }}"
    with pytest.raises(ModelError, match="cannot be taken apart"):
        render(tiny.window("ada", ["Hello."]), bare, Rendering(), 512)


def test_an_encoder_keeps_its_own_frame_around_every_segment(tiny_bert):
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    assert frame(tokenizer) == ((1,), (0,))
    window = tiny.window("ada", tiny.SAYINGS)
    rendered = render(window, tokenizer, Rendering(layout="plain"), 48)
    assert len(rendered.segments) > 1
    for segment in rendered.segments:
        assert (segment.token_ids[0], segment.token_ids[-1]) == (1, 0)


@given(
    st.lists(st.text(st.characters(codec="utf-8"), max_size=80), min_size=1, max_size=12),
    st.integers(8, 60),
    st.integers(4, 300),
    st.sampled_from(["chat", "turns", "plain"]),
)
@settings(max_examples=60)
def test_nothing_within_the_budget_is_lost_and_no_segment_is_too_long(
    tokenizer, sayings, max_length, budget, layout
):
    rendering = Rendering(layout=layout, max_tokens=budget)
    try:
        rendered = render(tiny.window("ada", sayings), tokenizer, rendering, max_length)
    except DataError:
        assert budget <= 12 or not "".join(sayings[-1:])  # only the newest message is sure to fit
        return
    assert all(len(segment.token_ids) <= max_length for segment in rendered.segments)
    assert rendered.n_messages + rendered.n_dropped == len(sayings)
    whole = render(tiny.window("ada", sayings), tokenizer, Rendering(layout=layout), 4096)
    kept = [t for s in rendered.segments for t in s.token_ids]
    everything = [t for s in whole.segments for t in s.token_ids]
    assert len(kept) <= max(budget, 0)
    if not rendered.n_dropped and len(everything) <= budget:
        assert kept == everything
    elif rendered.n_messages > 1:
        assert everything[-len(kept) :] == kept


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


def test_another_tokenizer_has_another_fingerprint(tokenizer, tiny_bert, tiny_qwen):
    again = AutoTokenizer.from_pretrained(tiny_qwen)
    assert tokenizer_fingerprint(tokenizer) == tokenizer_fingerprint(again)
    other = AutoTokenizer.from_pretrained(tiny_bert)
    assert tokenizer_fingerprint(other) != tokenizer_fingerprint(tokenizer)
