"""The monitoring service: messages come in as they are written, estimates are kept up to date.

Owns storage, consent, access, jobs and HTTP around the layers to its left, which know nothing of
it. PostgreSQL is its only database.
"""
