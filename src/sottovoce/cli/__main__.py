"""Lets `python -m sottovoce.cli` run the command line. Owns nothing else."""

from sottovoce.cli import main

main()
