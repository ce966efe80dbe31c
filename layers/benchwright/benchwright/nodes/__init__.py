"""The instances of a cluster and their configuration (functions/configure_nodes)."""
