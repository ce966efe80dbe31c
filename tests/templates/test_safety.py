"""What keeps data, nodes and their secrets safe, property by property: a slip would go unseen until it matters."""

from __future__ import annotations

from typing import Any

from benchwright.settings import Settings
from tests.templates.templates import APPLICATION, FOUNDATION, NODES, resources


def properties(template: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = template["Resources"][name]["Properties"]
    return found


def test_instances_give_credentials_only_to_who_asks_with_a_token_and_on_the_instance_itself() -> None:
    assert properties(APPLICATION, "BuildInfrastructure")["InstanceMetadataOptions"] == {
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 1,
    }
    assert properties(NODES, "LaunchTemplate")["LaunchTemplateData"]["MetadataOptions"] == {
        "HttpEndpoint": "enabled",
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 1,
    }


def test_nodes_have_encrypted_disks_and_no_public_address() -> None:
    launch = properties(NODES, "LaunchTemplate")["LaunchTemplateData"]
    assert launch["BlockDeviceMappings"] == [
        {
            "DeviceName": "/dev/sda1",
            "Ebs": {
                "Encrypted": True,
                "DeleteOnTermination": True,
                "VolumeType": "gp3",
                "VolumeSize": {"Fn::If": ["HasRootVolumeSize", {"Ref": "RootVolumeSize"}, {"Ref": "AWS::NoValue"}]},
            },
        }
    ]
    assert launch["NetworkInterfaces"] == [
        {
            "DeviceIndex": 0,
            "AssociatePublicIpAddress": False,
            "DeleteOnTermination": True,
            "Groups": [{"Ref": "NodeSecurityGroupId"}],
        }
    ]


def test_a_node_is_replaced_for_its_hardware_and_leaves_when_it_has_reported_or_is_late() -> None:
    """Health is EC2's, which needs no grace period; both hooks speak for themselves when a node says nothing."""
    group = dict(properties(NODES, "AutoScalingGroup"))
    del group["Tags"]
    assert group == {
        "AutoScalingGroupName": {"Fn::Sub": "${Application}-${Cluster}-nodes-group"},
        "MinSize": {"Ref": "NodeCount"},
        "DesiredCapacity": {"Ref": "NodeCount"},
        "MaxSize": {"Ref": "MaximumNodeCount"},
        "VPCZoneIdentifier": {"Ref": "PrivateSubnetIds"},
        "LaunchTemplate": {
            "LaunchTemplateId": {"Ref": "LaunchTemplate"},
            "Version": {"Fn::GetAtt": ["LaunchTemplate", "LatestVersionNumber"]},
        },
        "TargetGroupARNs": {"Fn::If": ["HasTargetGroup", [{"Ref": "TargetGroupArn"}], {"Ref": "AWS::NoValue"}]},
        "HealthCheckType": "EC2",
        "DefaultInstanceWarmup": 60,
        "MetricsCollection": [{"Granularity": "1Minute", "Metrics": ["GroupInServiceInstances"]}],
        "LifecycleHookSpecificationList": [
            {
                "LifecycleHookName": "stop-services",
                "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
                "DefaultResult": "CONTINUE",
                "HeartbeatTimeout": 900,
            }
        ],
    }
    assert properties(NODES, "ConfiguredHook") == {
        "AutoScalingGroupName": {"Ref": "AutoScalingGroup"},
        "LifecycleHookName": "configured",
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "DefaultResult": "ABANDON",
        "HeartbeatTimeout": 2700,
    }


def test_every_node_of_the_group_configures_itself_one_after_the_other_and_stops_at_the_first_failure() -> None:
    assert properties(NODES, "ConfigurationAssociation") == {
        "AssociationName": {"Fn::Sub": "${Application}-${Cluster}-configuration"},
        "Name": {"Ref": "ConfigurationDocument"},
        "DocumentVersion": "$LATEST",
        "Parameters": {"Mode": ["apply"]},
        "Targets": [{"Key": "tag:aws:autoscaling:groupName", "Values": [{"Ref": "AutoScalingGroup"}]}],
        "MaxConcurrency": "1",
        "MaxErrors": "0",
        "ComplianceSeverity": "HIGH",
    }


def test_the_database_is_encrypted_backed_up_and_keeps_its_password_to_itself() -> None:
    assert properties(FOUNDATION, "DatabaseCluster") == {
        "Engine": "aurora-postgresql",
        "EngineVersion": {"Ref": "EngineVersion"},
        "EngineLifecycleSupport": "open-source-rds-extended-support-disabled",
        "MasterUsername": "postgres",
        "ManageMasterUserPassword": True,
        "MasterUserSecret": {"KmsKeyId": {"Ref": "Key"}},
        "EnableIAMDatabaseAuthentication": True,
        "StorageEncrypted": True,
        "KmsKeyId": {"Ref": "Key"},
        "ServerlessV2ScalingConfiguration": {
            "MinCapacity": {"Ref": "MinCapacity"},
            "MaxCapacity": {"Ref": "MaxCapacity"},
        },
        "DBClusterParameterGroupName": {"Ref": "DatabaseParameters"},
        "DBSubnetGroupName": {"Ref": "DatabaseSubnets"},
        "VpcSecurityGroupIds": [{"Ref": "DatabaseSecurityGroup"}],
        "BackupRetentionPeriod": 7,
        "AutoMinorVersionUpgrade": True,
        "PreferredBackupWindow": "23:00-23:30",
        "PreferredMaintenanceWindow": "sun:01:00-sun:02:00",
        "CopyTagsToSnapshot": True,
        "DeletionProtection": {"Ref": "DeletionProtection"},
        "Tags": [{"Key": "Name", "Value": {"Fn::Sub": "${Application}-${Cluster}"}}],
    }
    instance = {
        "Engine": "aurora-postgresql",
        "DBClusterIdentifier": {"Ref": "DatabaseCluster"},
        "DBInstanceClass": "db.serverless",
        "PubliclyAccessible": False,
    }
    instances = resources(FOUNDATION, "AWS::RDS::DBInstance")
    assert [item["Properties"] for item in instances.values()] == [instance, instance]


def test_files_are_encrypted_and_backed_up() -> None:
    files = dict(properties(FOUNDATION, "FileSystem"))
    del files["FileSystemTags"], files["FileSystemPolicy"]
    assert files == {
        "Encrypted": True,
        "KmsKeyId": {"Ref": "Key"},
        "ThroughputMode": "elastic",
        "BackupPolicy": {"Status": "ENABLED"},
        "LifecyclePolicies": [
            {"TransitionToIA": "AFTER_30_DAYS"},
            {"TransitionToPrimaryStorageClass": "AFTER_1_ACCESS"},
        ],
    }


def test_keys_are_rotated_and_a_deleted_one_can_be_called_back_for_a_month() -> None:
    for template in (APPLICATION, FOUNDATION):
        key = properties(template, "Key")
        assert (key["EnableKeyRotation"], key["PendingWindowInDays"]) == (True, 30)
    assert {
        item["Properties"]["KmsKeyId"]["Ref"] for item in resources(FOUNDATION, "AWS::SecretsManager::Secret").values()
    } == {"Key"}


def test_the_record_and_the_configuration_can_be_restored_and_no_one_else_reads_them() -> None:
    table, bucket = properties(APPLICATION, "Table"), properties(APPLICATION, "Bucket")
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"] == {
        "SSEEnabled": True,
        "SSEType": "KMS",
        "KMSMasterKeyId": {"Fn::GetAtt": ["Key", "Arn"]},
    }
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["BucketEncryption"] == {
        "ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
    }
    assert bucket["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }


def test_reports_are_deleted_when_their_days_are_over_and_configuration_is_not() -> None:
    """In a bucket with versions a deleted object stays as an old version, for as long as that rule says."""
    rules = properties(APPLICATION, "Bucket")["LifecycleConfiguration"]["Rules"]
    expiring = {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule}
    assert expiring == {"access-logs/": {"Ref": "LogRetentionDays"}, "reports/": {"Ref": "ReportRetentionDays"}}
    (reports,) = (rule for rule in rules if rule.get("Prefix") == "reports/")
    assert reports["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}


def test_who_may_use_the_session_document_reaches_workbench_alone() -> None:
    """Any other port would be reached as root: Session Manager's agent is. The name is the one in the outputs."""
    document = properties(APPLICATION, "SessionDocument")
    content = document["Content"]
    assert (document["DocumentType"], content["sessionType"]) == ("Session", "Port")
    assert content["properties"] == {
        "type": "LocalPortForwarding",
        "portNumber": "8787",
        "localPortNumber": "{{ localPortNumber }}",
    }
    assert list(content["parameters"]) == ["localPortNumber"]
    reported = Settings(application="any").session_document
    assert document["Name"] == {"Fn::Sub": reported.replace("any", "${AWS::StackName}")}
