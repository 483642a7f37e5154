"""Tiny random-init backbones that run the code path of the large ones, and windows for them.

`qwen` is a Qwen3.5 with both of its layer kinds (three linear-attention layers to one of full
attention), as text model or as the composite class that carries a vision tower; `bert` an encoder.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from sottovoce.backbones import Backbone
from sottovoce.cohort import Window
from sottovoce.conversations import Conversation, Message, QuestionnaireResponse
from sottovoce.model_input import ModelInput, Renderer, Rendering

NOON = datetime(2025, 3, 14, 12, tzinfo=UTC)
SAYINGS = (
    "I slept about four hours again and woke before the birds did.",
    "Work was fine, the trains were not, and the kettle broke.",
    "We went to the river on Sunday and I laughed for the first time in a while.",
    "Nothing tastes of much. I leave half of it.",
    "My sister rang. I let it ring out and felt bad about it all day.",
    "Can you help me word a letter to the council about the bins?",
    "I read the same page three times and could not say what was on it.",
    "The garden is coming on, the beans are up to my knee.",
)

CHAT_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<|start|>system\nBe kind.<|end|>\n{% endif %}"
    "{% for m in messages %}<|start|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
)
"""A template with a system text of its own, as SmolLM2 and Qwen have."""


def save_tokenizer(folder: Path) -> None:
    """Train a byte-level tokenizer on the sayings; pad and end are one token, as in SmolLM2."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|end|>", "<|start|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SAYINGS, trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|end|>",
        pad_token="<|end|>",
        bos_token="<|start|>",
        model_max_length=4096,
        chat_template=CHAT_TEMPLATE,
    ).save_pretrained(folder)


def text_config() -> dict[str, object]:
    return {
        "vocab_size": 400,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 4,
        "layer_types": ["linear_attention"] * 3 + ["full_attention"],
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 2,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "max_position_embeddings": 512,
    }


def save_qwen(folder: Path, seed: int = 0) -> Path:
    """Save a tiny random text-only Qwen3.5."""
    import torch
    from transformers import Qwen3_5TextConfig, Qwen3_5TextModel

    torch.manual_seed(seed)
    Qwen3_5TextModel(Qwen3_5TextConfig(**text_config())).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


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
    config = Qwen3_5Config(text_config=text_config(), vision_config=vision)
    Qwen3_5Model(config).save_pretrained(folder)
    save_tokenizer(folder)
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
    save_tokenizer(folder)
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


def conversation(each: Window) -> Conversation:
    """Give a window's messages as one conversation."""
    return Conversation(each.user_id, f"{each.user_id}-1", each.messages)


def rendered(
    backbone: Backbone, windows: list[Window], rendering: Rendering | None = None
) -> list[ModelInput]:
    """Give windows as the backbone reads them."""
    renderer = Renderer.of(backbone.tokenizer, rendering or Rendering(), backbone.max_length)
    return [renderer.render(each) for each in windows]
