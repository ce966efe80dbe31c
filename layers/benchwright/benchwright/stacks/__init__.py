"""A cluster's two stacks and their change sets (functions/deploy_stack)."""
