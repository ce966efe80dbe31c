"""What went wrong, for people (functions/explain_failure)."""
