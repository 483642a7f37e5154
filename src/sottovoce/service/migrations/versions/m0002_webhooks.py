"""Second step: webhooks. Owns the SQL of `0002_webhooks.sql`."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    sql = Path(__file__).with_name("0002_webhooks.sql").read_text("utf-8")
    op.get_bind().exec_driver_sql(sql.replace("%", "%%"))
