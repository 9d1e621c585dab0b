"""What is known about data: SQLModel tables, sessions and migrations."""
