"""The CloudFormation API: what a caller sends and gets back."""
