"""`sottovoce export`: an estimator for other servers. Owns the command; the work is `export`'s."""

from pathlib import Path

import click

from sottovoce.cli.console import (
    example,
    force_option,
    free_path,
    json_option,
    next_step,
    print_json,
    stdout,
)


@click.command(
    epilog=example(
        "sottovoce export runs/mine --out exported",
        "sottovoce export runs/mine --out exported --json | jq .offset",
    )
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@force_option
@json_option
def export(model: Path, out: Path, force: bool, as_json: bool) -> None:
    """Write the fine-tuned estimator MODEL as a Hugging Face classifier, for vLLM or others.

    The folder holds config.json, weights with the adapters merged, without a vision tower, the
    tokenizer, and sottovoce.json: what is added to an answer, its range, how a window is laid out,
    and the command that serves it, which has not been run by this project. Only a head that scores
    the last token's state for the total can be written so. Intervals stay with the estimator.
    """
    free_path(out, force=force)
    from sottovoce.export import export as write

    written = write(model, out)
    record = written.record
    if as_json:
        print_json({**record, "out": str(out)})
    else:
        stdout().print(
            f"{record['model_id']}: a score is the answer {record['offset']:+.4f} points, held "
            f"within {record['minimum']} and {record['maximum']}",
            soft_wrap=True,
        )
    next_step(written.serve)
