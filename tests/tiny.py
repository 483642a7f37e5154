"""Tiny random-init backbones that run the code path of the large ones, and windows for them.

`qwen` is the package's toy, a Qwen3.5 with both of its layer kinds (three linear-attention layers
to one of full attention), or the composite class that carries a vision tower; `bert` an encoder.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from sottovoce import toy
from sottovoce.annotations import Annotation, Quote
from sottovoce.backbones import Backbone
from sottovoce.cohort import Window
from sottovoce.conversations import Conversation, Message, QuestionnaireResponse
from sottovoce.model_input import ModelInput, Renderer, Rendering

NOON = datetime(2025, 3, 14, 12, tzinfo=UTC)
SAYINGS = toy.SENTENCES
save_qwen = toy.save_toy


def save_composite_qwen(folder: Path) -> Path:
    """Save a tiny random Qwen3.5 with its vision tower."""
    import torch
    from transformers import Qwen3_5Config, Qwen3_5Model

    torch.manual_seed(1)
    vision = {
        "depth": 1,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_heads": 2,
        "out_hidden_size": 32,
        "num_position_embeddings": 16,
    }
    config = Qwen3_5Config(text_config=toy.NUMBERS, vision_config=vision)
    Qwen3_5Model(config).save_pretrained(folder)
    toy.save_tokenizer(folder)
    return folder


def save_bert(folder: Path) -> Path:
    """Save a tiny random encoder whose context is shorter than a window."""
    import torch
    from tokenizers import Tokenizer, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(2)
    config = BertConfig(
        vocab_size=400,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=48,
    )
    BertModel(config).save_pretrained(folder)
    toy.save_tokenizer(folder)
    inner = Tokenizer.from_file(str(folder / "tokenizer.json"))
    inner.post_processor = processors.TemplateProcessing(
        single="<|start|> $A <|end|>", special_tokens=[("<|start|>", 1), ("<|end|>", 0)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<|start|>", eos_token="<|end|>", pad_token="<|end|>"
    ).save_pretrained(folder)
    return folder


def window(user: str, sayings: tuple[str, ...] | list[str], total: float | None = None) -> Window:
    """Give a window of the person's messages, each answered, minutes apart."""
    messages = []
    for number, saying in enumerate(sayings):
        at = NOON - timedelta(hours=5) + timedelta(minutes=number)
        messages.append(Message("user", saying, at))
        messages.append(Message("assistant", "Tell me more.", at + timedelta(seconds=20)))
    label = None if total is None else QuestionnaireResponse(user, "phq-9", NOON, total)
    return Window(user, NOON - timedelta(days=14), NOON, tuple(messages), {}, label)


def labelled_windows(n: int = 40, seed: int = 3) -> list[Window]:
    """Give people whose total follows how often they say the first saying, plus noise."""
    generator = np.random.default_rng(seed)
    windows = []
    for number in range(n):
        share = generator.random()
        sayings = [
            SAYINGS[0] if generator.random() < share else SAYINGS[generator.integers(1, 8)]
            for _ in range(6)
        ]
        total = float(np.clip(round(22 * share + generator.normal(0, 2)), 0, 27))
        windows.append(window(f"p{number:02d}", sayings, total))
    return windows


def annotated(windows: list[Window]) -> dict[str, Annotation]:
    """Give what an annotator says of such people: items by how often they say the first saying.

    It is quoted where it is said first, as is one that says that an item is absent.
    """
    found = {}
    for each in windows:
        sayings = [message.content for message in each.user_messages]
        level = min(3, round(sayings.count(SAYINGS[0]) / 2))
        quotes = [
            Quote(item, points, saying)
            for item, points, saying in ((3, 3, SAYINGS[0]), (1, 0, SAYINGS[2]))
            if saying in sayings
        ]
        items = (0.0, 0.0, float(level)) + (level / 2,) * 6
        said = (items, sum(items), 2.0, tuple(quotes))
        found[each.user_id] = Annotation(each.user_id, "made-up", *said)
    return found


def conversation(each: Window) -> Conversation:
    """Give a window's messages as one conversation."""
    return Conversation(each.user_id, f"{each.user_id}-1", each.messages)


def rendered(
    backbone: Backbone, windows: list[Window], rendering: Rendering | None = None
) -> list[ModelInput]:
    """Give windows as the backbone reads them."""
    renderer = Renderer.of(backbone.tokenizer, rendering or Rendering(), backbone.max_length)
    return [renderer.render(each) for each in windows]
