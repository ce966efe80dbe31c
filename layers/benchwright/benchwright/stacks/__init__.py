"""A cluster's stacks and their change sets (functions/deploy_stack)."""
