import torch
from transformers import AutoConfig, AutoTokenizer

from sottovoce import toy


def test_the_seed_decides_the_weights_and_the_callers_random_state_stays(tmp_path):
    state = torch.get_rng_state()
    made = {}
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        folder = toy.save_toy(tmp_path / name, seed)
        made[name] = (folder / "model.safetensors").read_bytes()
    assert made["first"] == made["again"] != made["other"]
    assert (torch.get_rng_state() == state).all()


def test_the_toy_has_both_layer_kinds(tmp_path):
    config = AutoConfig.from_pretrained(toy.save_toy(tmp_path))
    assert set(config.layer_types) == {"linear_attention", "full_attention"}
    assert config.to_dict().items() >= toy.NUMBERS.items()


def test_a_toy_made_from_something_else_is_another_edition(monkeypatch):
    before = toy.edition()
    monkeypatch.setitem(toy.NUMBERS, "hidden_size", 64)
    assert toy.edition() != before


def test_the_toys_tokenizer_reads_any_text_back(tmp_path):
    toy.save_tokenizer(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    text = "Ça va? Nothing tastes of much… \N{SLEEPING FACE}"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer) <= toy.NUMBERS["vocab_size"]
