"""Read-only SQL: what a statement names, what it may see, how it runs. The door is `catalog.sql`."""
