"""The replacement of nodes whose Workbench does not answer (functions/heal_nodes)."""
