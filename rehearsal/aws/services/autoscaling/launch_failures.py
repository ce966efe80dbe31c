"""What AWS says of launches that fail, by the word of the fault.

Sources: Amazon EC2 Auto Scaling user guide, "Troubleshoot: EC2 instance launch failures", and public issues, such as
gruntwork-io/terratest#693 for the key.
"""

REFUSED = "Refused"  # the code of a fault that was ordered
FAILED = "{} Launching EC2 instance failed."
REFUSALS = {
    "quota": FAILED.format(
        "You have requested more vCPU capacity than your current vCPU limit of {limit} allows for the instance bucket "
        "that the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to "
        "request an adjustment to this limit."
    ),
    "capacity": FAILED.format(
        "We currently do not have sufficient {type} capacity in the Availability Zone you requested ({zone}). Our "
        "system will be working on provisioning additional capacity. You can currently get {type} capacity by not "
        "specifying an Availability Zone in your request or choosing another one."
    ),
    "key": "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: "
    "Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state",
    "ami": FAILED.format("The AMI ID '{image}' does not exist."),
    "addresses": FAILED.format(
        "There are not enough free addresses in subnet '{subnet}' to satisfy the requested number of instances."
    ),
    "role": FAILED.format("Authentication Failure."),
    "type": FAILED.format(
        "Your requested instance type ({type}) is not supported in your requested Availability Zone ({zone}). Please "
        "retry your request by not specifying an Availability Zone or choosing another one."
    ),
    "validation": FAILED.format(
        "Your request for accessing resources in this region is being validated, and you will not be able to launch "
        "additional resources in this region until the validation is complete. We will notify you by email once your "
        "request has been validated. While normally resolved within minutes, please allow up to 4 hours for this "
        "process to complete."
    ),
}
