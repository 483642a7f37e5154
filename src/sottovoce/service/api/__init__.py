"""HTTP: requests become calls of the service, results and refusals become responses.

Owns the form of requests, responses and problems. Knows no SQL and no cipher; what a person's
data may be used for is decided in the service's gate, not here.
"""
