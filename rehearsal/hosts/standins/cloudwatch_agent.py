"""The CloudWatch agent: sends the lines of files and of the journal to CloudWatch Logs, and memory, swap and disk to
CloudWatch, with the role of the node.

As amazon-cloudwatch-agent does (plugins/inputs/logfile, plugins/outputs/cloudwatchlogs, plugins/outputs/cloudwatch):
a file is read from its beginning, the journal from the start of the agent on. A stream is made before it is written to,
and so is a group that is missing. Lines that cannot be sent are sent later. Metrics are published once the tags of the
instance are known. A key of the configuration that this stand-in does not understand ends it.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import signal
import threading
import time

from . import aws, systemd
from .surroundings import clock_offset, complain, metadata, read, surroundings, write

TYPE_CHECKING = False  # typing's own would import typing
if TYPE_CHECKING:
    from typing import Any

HOME = "/opt/aws/amazon-cloudwatch-agent"
CONFIGURATION, LOG = f"{HOME}/etc/amazon-cloudwatch-agent.json", f"{HOME}/logs/amazon-cloudwatch-agent.log"
STATE = f"{HOME}/logs/state/offsets.json"
COMPRESSED = (".tar", ".zst", ".gz", ".zip", ".bz2", ".rar")
KNOWN = {
    "": {"agent", "logs", "metrics"},
    "agent": {"metrics_collection_interval", "omit_hostname"},
    "logs": {"logs_collected", "force_flush_interval"},
    "logs.logs_collected": {"files", "journald"},
    "metrics": {"namespace", "append_dimensions", "aggregation_dimensions", "metrics_collected"},
    "metrics.metrics_collected": {"mem", "swap", "disk"},
}
FILE_KEYS = {"file_path", "publish_multi_logs", "log_group_name", "log_stream_name"}
JOURNAL_KEYS = {"units", "log_group_name", "log_stream_name"}
LOGS, METRICS, EC2 = ("logs", "Logs_20140328"), ("monitoring", "2010-08-01"), ("ec2", "2016-11-15")
GROUP_TAG = re.compile(r"<key>aws:autoscaling:groupName</key>.*?<value>([^<]+)</value>", re.DOTALL)
EVENTS = 1000
MINUTE = 60.0


def main(_: list[str]) -> int:
    """Runs until SIGTERM, before which it sends what is left."""
    try:
        configuration = json.loads(read(CONFIGURATION))
    except FileNotFoundError:
        return complain("No json config files found, please provide config, exit now", 0)
    if problem := _problem(configuration):
        return complain(f"E! Invalid Json input schema. {problem}")
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    Agent(configuration).run(ending)
    return 0


def _problem(configuration: dict[str, Any]) -> str:
    for path, keys in KNOWN.items():
        place = configuration
        for name in path.split(".") if path else []:
            place = place.get(name, {})
        if strange := place.keys() - keys:
            return f"Under path {path or '(root)'}: this stand-in does not know {', '.join(sorted(strange))}"
    collected = configuration.get("logs", {}).get("logs_collected", {})
    for kind, keys in (("files", FILE_KEYS), ("journald", JOURNAL_KEYS)):
        for entry in collected.get(kind, {}).get("collect_list", []):
            if strange := entry.keys() - keys:
                return f"Under path {kind}: this stand-in does not know {', '.join(sorted(strange))}"
    return ""


class Agent:
    """What was sent of each file, by its path; a file that became shorter is another one."""

    def __init__(self, configuration: dict[str, Any]) -> None:
        self.logs: dict[str, Any] = configuration.get("logs", {})
        self.metrics: dict[str, Any] = configuration.get("metrics", {})
        self.offsets: dict[str, int] = json.loads(read(STATE) or "{}") if os.path.exists(STATE) else {}
        self.instance: str = surroundings()["instance_id"]
        self.streams: set[tuple[str, str]] = set()
        self.group = ""
        for file, _, _ in self._journals():
            self.offsets.setdefault(file, os.path.getsize(file) if os.path.exists(file) else 0)

    def run(self, ending: threading.Event) -> None:
        """Send logs every five seconds and metrics every minute, until it ends."""
        published = -MINUTE
        while not ending.wait(self.logs.get("force_flush_interval", 5)):
            self.send_logs()
            if time.monotonic() - published >= MINUTE:
                published = time.monotonic()
                self.publish_metrics()
        self.send_logs()

    def send_logs(self) -> None:
        """Send what is new; what cannot be sent stays, and the agent's own log says why."""
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(STATE), exist_ok=True)
        for file, group, stream in [*self._files(), *self._journals()]:
            try:
                self._send(file, group, stream)
            except (aws.CallError, OSError, ValueError) as error:
                self._note(f"{group} {stream}: {error}")
        with contextlib.suppress(OSError):  # the disk is full
            write(STATE, json.dumps(self.offsets))

    def publish_metrics(self) -> None:
        """Publish each metric with its own dimensions and with those of each aggregation that has fewer."""
        try:
            self.group = self.group or self._group_of_the_instance()
            if not self.group:
                return
            number, form = 0, {"Namespace": str(self.metrics.get("namespace", "CWAgent"))}
            for name, unit, value, own in self._measured():
                appended: dict[str, str] = self.metrics.get("append_dimensions", {})
                known = {"${aws:AutoScalingGroupName}": self.group, "${aws:InstanceId}": self.instance}
                whole = {key: known[text] for key, text in appended.items()} | own
                rolled: list[list[str]] = self.metrics.get("aggregation_dimensions", [])
                fewer = [names for names in rolled if len(names) < len(whole) and whole.keys() >= set(names)]
                for dimensions in (whole, *({key: whole[key] for key in names} for names in fewer)):
                    number += 1
                    form |= _datum(number, name, unit, value, dimensions)
            aws.call_query(aws.find_caller({"region": surroundings()["region"]}), *METRICS, "PutMetricData", form)
        except (aws.CallError, OSError, ValueError) as error:
            self._note(f"metrics: {error}")

    def _files(self) -> list[tuple[str, str, str]]:
        """File, group and stream of what the files of the configuration match now."""
        found = []
        for entry in self.logs["logs_collected"].get("files", {}).get("collect_list", []):
            pattern = entry["file_path"].replace("**.", "**/*.")  # of this glob, ** is a folder or many
            names = [name for name in glob.glob(pattern, recursive=True) if os.path.isfile(name)]
            names = sorted(name for name in names if not name.endswith(COMPRESSED))
            many = entry.get("publish_multi_logs")
            for name in names if many else sorted(names, key=os.path.getmtime)[-1:]:
                own = re.sub(r"[^.\-_/#A-Za-z0-9]", "_", name).replace("/", "_")
                stream = entry["log_stream_name"] + (f"_{own}" if many else "")
                found.append((name, entry["log_group_name"], stream.replace("{instance_id}", self.instance)))
        return found

    def _journals(self) -> list[tuple[str, str, str]]:
        entries = self.logs["logs_collected"].get("journald", {}).get("collect_list", [])
        return [
            (f"{systemd.JOURNAL}/{unit}.log", entry["log_group_name"], stream)
            for entry in entries
            for stream in [entry["log_stream_name"].replace("{instance_id}", self.instance)]
            for unit in entry["units"]
        ]

    def _send(self, file: str, group: str, stream: str) -> None:
        size = os.path.getsize(file) if os.path.exists(file) else 0
        begin = self.offsets.get(file, 0) if self.offsets.get(file, 0) <= size else 0
        if begin == size:
            return
        with open(file, "rb") as opened:
            opened.seek(begin)
            lines = opened.read(1 << 20).splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")][:EVENTS]
        caller = aws.find_caller({"region": surroundings()["region"]})
        if (group, stream) not in self.streams:
            self._make_stream(caller, group, stream)
            self.streams.add((group, stream))
        now = int((time.time() + clock_offset()) * 1000)
        journal = file.startswith(systemd.JOURNAL)
        texts = [line.decode(errors="replace").rstrip() for line in whole]
        events = [
            {"timestamp": now, "message": json.dumps({"body": {"MESSAGE": text}}) if journal else text}
            for text in texts
            if text
        ]
        if events:
            named = {"logGroupName": group, "logStreamName": stream}
            aws.call_json(caller, *LOGS, "PutLogEvents", {**named, "logEvents": events})
        self.offsets[file] = begin + sum(map(len, whole))

    def _make_stream(self, caller: aws.Caller, group: str, stream: str) -> None:
        named = {"logGroupName": group, "logStreamName": stream}
        try:
            aws.call_json(caller, *LOGS, "CreateLogStream", named)
        except aws.CallError as error:
            if "(ResourceNotFoundException)" in str(error):
                aws.call_json(caller, *LOGS, "CreateLogGroup", {"logGroupName": group})
                aws.call_json(caller, *LOGS, "CreateLogStream", named)
            elif "(ResourceAlreadyExistsException)" not in str(error):
                raise

    def _group_of_the_instance(self) -> str:
        filters = {
            "Filter.1.Name": "resource-type",
            "Filter.1.Value.1": "instance",
            "Filter.2.Name": "resource-id",
            "Filter.2.Value.1": metadata("meta-data/instance-id"),
        }
        caller = aws.find_caller({"region": surroundings()["region"]})
        found = GROUP_TAG.search(aws.call_query(caller, *EC2, "DescribeTags", filters))
        return found[1] if found else ""

    def _measured(self) -> list[tuple[str, str, float, dict[str, str]]]:
        """Name, unit, value and own dimensions of each measurement of the configuration."""
        memory = dict(re.findall(r"^(\w+):\s+(\d+)", read("/proc/meminfo"), re.MULTILINE))
        total, free = int(memory["MemTotal"]), int(memory["MemAvailable"])
        swap, swap_free = int(memory["SwapTotal"]), int(memory["SwapFree"])
        values = {
            ("mem", "used_percent"): ("Percent", 100 * (total - free) / total),
            ("swap", "used_percent"): ("Percent", 100 * (swap - swap_free) / swap if swap else 0.0),
        }
        measured = []
        collected: dict[str, dict[str, list[str]]] = self.metrics.get("metrics_collected", {})
        for kind, entry in collected.items():
            for place in entry.get("resources", [""]):
                own = {}
                if place:
                    disk = os.statvfs(place)
                    taken = disk.f_blocks - disk.f_bfree
                    values |= {
                        ("disk", "used_percent"): ("Percent", 100 * taken / ((taken + disk.f_bavail) or 1)),
                        ("disk", "inodes_free"): ("Count", float(disk.f_ffree)),
                    }
                    own = {"path": place, "fstype": "ext4"}  # of Ubuntu's image
                    assert entry.get("drop_device"), "a device would be one more dimension"
                for name in entry["measurement"]:
                    unit, value = values[kind, name]
                    measured.append((f"{kind}_{name}", unit, value, own))
        return measured

    def _note(self, text: str) -> None:
        with contextlib.suppress(OSError), open(LOG, "a") as log:
            log.write(f"{time.strftime('%FT%TZ', time.gmtime())} E! {text}\n")


def _datum(number: int, name: str, unit: str, value: float, dimensions: dict[str, str]) -> dict[str, str]:
    at = f"MetricData.member.{number}"
    form = {f"{at}.MetricName": name, f"{at}.Unit": unit, f"{at}.Value": str(value)}
    form[f"{at}.Timestamp"] = time.strftime("%FT%TZ", time.gmtime(time.time() + clock_offset()))
    for index, (key, text) in enumerate(sorted(dimensions.items()), 1):
        form |= {f"{at}.Dimensions.member.{index}.Name": key, f"{at}.Dimensions.member.{index}.Value": text}
    return form
