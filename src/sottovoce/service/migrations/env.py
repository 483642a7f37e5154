"""What alembic runs: the steps in one transaction on the connection it is given.

Owns that. Does not know where the database is (`database`).
"""

from alembic import context

from sottovoce.service.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
