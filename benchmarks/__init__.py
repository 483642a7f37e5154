"""Benchmarks: each prints a table, with --json one object, with --save also benchmarks/results/.

Run as ``python -m benchmarks.NAME``. They need the shared data beside the checkout, which is not
part of the project (see `benchmarks.shared`).
"""
