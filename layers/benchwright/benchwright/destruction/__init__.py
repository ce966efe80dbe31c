"""The destruction of a cluster, and of its data where the input repeats its name (functions/destroy_cluster)."""
