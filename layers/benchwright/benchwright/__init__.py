"""What the functions of Benchwright share: the models of its input, its named errors, and one module per conversation
with AWS.
"""
