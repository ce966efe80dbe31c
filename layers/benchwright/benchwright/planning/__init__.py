"""From an execution's input to the plan of a cluster (functions/resolve_plan)."""
