"""What AWS makes up again each time, so that two worlds can be compared without it."""

import re

# What AWS makes up: ids of EC2 and EFS, UUIDs, hashes, the suffixes of CloudFormation and of secrets.
MADE_UP = re.compile(
    r"\b(i|ami|sg|sgr|lt|fs|fsap|fsmt|subnet|snap|vol|eni|key)-[0-9a-f]{8,17}\b"
    r"|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|\b[0-9a-f]{40,64}\b|-[A-Z0-9]{12}\b|-[a-z0-9]{12}\b|\b1\.\d{6,}\.\d{6,}\b|\.[a-z0-9]{12}\.us-east-1\.rds"
    r"|(?<=[a-z])-[A-Za-z0-9]{6}$|\d{4}-\d\d-\d\dT[\d:.-]+Z?"
)
