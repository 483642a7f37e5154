"""First step: people and what is told of them, consent, access, the audit log, the job queue.

Owns the SQL of `0001_store.sql` and procrastinate's own schema as it is installed. A later version
of procrastinate brings steps of its own, which then become a step here.
"""

from pathlib import Path

from alembic import op
from procrastinate.schema import SchemaManager

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    connection = op.get_bind()
    for text in (SchemaManager.get_schema(), Path(__file__).with_name("0001_store.sql")):
        sql = text.read_text("utf-8") if isinstance(text, Path) else text
        connection.exec_driver_sql(sql.replace("%", "%%"))
