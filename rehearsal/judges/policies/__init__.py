"""Least privilege, proven: every recorded call judged by IAM's rules, with a simulator that is not ours.

`named` notes at each call what only that moment knows; `mapping` says which authorizations AWS asks for a call;
`implied` those that AWS asks without a call; `simulator` has all of them judged; `verdict` says what was denied, and
which permissions are unused.
"""
