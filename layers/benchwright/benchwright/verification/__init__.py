"""Whether a cluster is what its plan says (functions/verify_cluster)."""
