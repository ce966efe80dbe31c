"""Posit Workbench as it is documented and was seen to behave, for what a cluster needs:

configuration, cluster, licence.
"""
