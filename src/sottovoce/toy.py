"""A tiny random Qwen3.5: the code path of the large ones, in seconds on a CPU.

Owns the toy backbone's configuration, weights from a fixed seed, and tokenizer, all made on this
machine. It was never trained, so whatever is estimated with it says nothing about anybody. Does
not know where it is kept (`backbones`).
"""

import hashlib
import json
from pathlib import Path
from typing import Any

NAME = "tiny-qwen3.5-random"
"""What a recipe calls it."""

NUMBERS: dict[str, Any] = {
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
"""Of a Qwen3_5TextConfig, as small as it goes with both of its layer kinds; ours."""

SENTENCES = (
    "I slept about four hours again and woke before the birds did.",
    "Work was fine, the trains were not, and the kettle broke.",
    "We went to the river on Sunday and I laughed for the first time in a while.",
    "Nothing tastes of much. I leave half of it.",
    "My sister rang. I let it ring out and felt bad about it all day.",
    "Can you help me word a letter to the council about the bins?",
    "I read the same page three times and could not say what was on it.",
    "The garden is coming on, the beans are up to my knee.",
)
"""What the tokenizer's merges are learnt from; any other text falls back to bytes."""

START, END = "<|start|>", "<|end|>"
CHAT_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<|start|>system\nBe kind.<|end|>\n{% endif %}"
    "{% for m in messages %}<|start|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
)
"""A template with a system text of its own, as SmolLM2 and Qwen have."""


def edition() -> str:
    """Give a short hash of what the toy is made from; one that is kept is found by it."""
    parts = json.dumps([NUMBERS, SENTENCES, CHAT_TEMPLATE], sort_keys=True)
    return hashlib.sha256(parts.encode()).hexdigest()[:12]


def configuration() -> Any:
    """Give the configuration, as transformers has it."""
    from transformers import Qwen3_5TextConfig

    return Qwen3_5TextConfig(**NUMBERS)


def save_toy(folder: Path, seed: int = 0) -> Path:
    """Save the toy in Hugging Face form; the caller's random state stays as it was."""
    import torch
    from transformers import Qwen3_5TextModel

    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        Qwen3_5TextModel(configuration()).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


def save_tokenizer(folder: Path) -> None:
    """Save a byte-level tokenizer that is learnt from the sentences.

    Padding and the end of a text are one token, as in SmolLM2.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=NUMBERS["vocab_size"],
        special_tokens=[END, START],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=END,
        bos_token=START,
        model_max_length=4096,
        chat_template=CHAT_TEMPLATE,
    ).save_pretrained(folder)
