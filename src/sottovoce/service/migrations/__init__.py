"""The schema, step by step. Owns its steps as SQL; knows no query."""
