"""Workbench's role and database on Aurora (functions/create_database)."""
