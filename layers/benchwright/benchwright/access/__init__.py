"""The certificate of a cluster's address (functions/request_certificate)."""
