"""The report of an execution, as data and as a page (functions/write_report)."""
