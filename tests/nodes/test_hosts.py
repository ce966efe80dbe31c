"""A host is isolated like a machine of its own, and an AMI is what was changed on one."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rehearsal.aws.clock import Clock
from rehearsal.hosts import logs
from rehearsal.hosts.base_image import launcher
from rehearsal.hosts.host import Host, HostError
from tests.nodes.conftest import World
from tests.waiting import until

SLEEPERS = "(grep -lx sleep /proc/[0-9]*/comm 2>/dev/null || true) | wc -l"


def lines(host: Host, script: str, user: str = "root") -> list[str]:
    """The output of a script that must succeed."""
    done = host.run(f"#!/bin/bash\nset -euo pipefail\n{script}", timeout=60, user=user)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_host_has_its_own_name_address_and_processes(host: Host) -> None:
    assert lines(
        host, "hostname; hostname -i; getent hosts ip-10-0-1-200.ec2.internal | cut -d' ' -f1; echo $$ | wc -c"
    ) == [
        "ip-10-0-1-200",
        "10.0.1.200",
        "10.0.1.200",
        "3",
    ]


def test_what_a_host_changes_stays_there(host: Host) -> None:
    lines(host, "useradd --uid 5001 anna; rm /etc/os-release; touch /usr/bin/new /tmp/new")
    assert lines(host, "id -u anna; ls /tmp/new /usr/bin/new") == ["5001", "/tmp/new", "/usr/bin/new"]
    assert "anna" not in Path("/etc/passwd").read_text()
    assert not Path("/usr/bin/new").exists()
    assert Path("/etc/os-release").exists()


def test_a_host_hides_what_its_machine_has(host: Host) -> None:
    people = lines(host, "awk -F: '$3 >= 900 { print $1 }' /etc/passwd")
    assert people == ["nobody", "ubuntu"]
    for command in ("R", "aws", "rskey", "rstudio-server", "psql", "chronyc", "mount.efs", "go"):
        assert host.run(f"command -v {command}", timeout=60).returncode != 0, command
    assert lines(host, ". /etc/os-release; echo $ID $VERSION_ID") == ["ubuntu 24.04"]


def test_what_a_host_logs_is_found_also_when_it_has_ended(world: World) -> None:
    host = world.boot(201)
    lines(host, "mkdir /var/log/benchwright; echo x >/var/log/benchwright/configure.log")
    name = "ip-10-0-1-201:/var/log/benchwright/configure.log"
    assert dict(logs.of_all(world.hosts.directory))[name].read_text() == "x\n"
    host.stop()
    ended = {file: name for name, file in logs.of_all(world.hosts.directory) if name.startswith("ip-10-0-1-201")}
    assert [file.read_text() for file, name in ended.items() if name.endswith("/configure.log")] == ["x\n"]
    assert name not in ended.values()


def test_a_script_is_run_by_sh_unless_its_first_line_says_otherwise(host: Host) -> None:
    assert host.run("cat /proc/$PPID/comm", timeout=60).stdout == "sh\n"
    assert host.run("#!/bin/bash\ncat /proc/$$/comm", timeout=60).stdout.startswith("script-")


def test_a_script_that_takes_too_long_is_killed_with_its_children(host: Host) -> None:
    done = host.run("#!/bin/bash\nsleep 999 & sleep 999", timeout=0.5)
    assert (done.returncode, done.timed_out) == (-9, True)
    until(lambda: lines(host, SLEEPERS) == ["0"], "the end of its children")


def test_orphans_are_reaped(host: Host) -> None:
    lines(host, "for i in 1 2 3; do (sleep 0.05 &) ; done")
    until(lambda: lines(host, SLEEPERS) == ["0"], "the end of the orphans, which are counted until they are reaped")


def test_hosts_reach_one_another_by_name(world: World, host: Host) -> None:
    other = world.boot(201)
    try:
        assert lines(host, "getent hosts ip-10-0-1-201 | cut -d' ' -f1") == ["10.0.1.201"]
        answer = host.run("curl -sS -o /dev/null --max-time 30 http://ip-10-0-1-201:8787/", timeout=60)
        assert answer.returncode == 7  # refused: no one listens, but the machine is there
    finally:
        other.stop()
    assert host.run("getent hosts ip-10-0-1-201", timeout=60).returncode == 2


def test_an_image_brings_users_files_and_removals(world: World, host: Host) -> None:
    lines(host, "useradd --uid 5002 --create-home bob; rm /usr/bin/getopt")
    lines(host, "rm -rf /etc/skel; mkdir /etc/skel; touch /etc/skel/only")
    layer = world.hosts.directory / "images" / "test"
    layer.mkdir(parents=True)
    host.capture(layer)
    other = world.boot(201, image=layer)
    try:
        assert lines(other, "id -u bob; stat -c %u /home/bob; ls /etc/skel") == ["5002", "5002", "only"]
        assert other.run("command -v getopt", timeout=60).returncode != 0
        with pytest.raises(HostError, match="an image is made of a host booted from the parent image"):
            other.capture(layer)
    finally:
        other.stop()


def test_enabled_units_start_at_boot_in_their_order(world: World, host: Host) -> None:
    service = "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo {} >>/var/order'\n"
    unit = f"[Unit]\n{{}}\n{service}[Install]\nWantedBy=multi-user.target\n"
    files = {"first": unit.format("Before=second.service", "first"), "second": unit.format("", "second")}
    for name, text in files.items():
        lines(host, f"cat >/etc/systemd/system/{name}.service <<'END'\n{text}END\nsystemctl enable {name}")
    host.run_boot()
    assert lines(host, "cat /var/order") == ["first", "second"]


def test_systemctl_refuses_what_it_does_not_know(host: Host) -> None:
    done = host.run("systemctl start nonsense", timeout=60)
    assert (done.returncode, done.stderr) == (5, "Failed to start nonsense.service: Unit nonsense.service not found.\n")
    assert host.run("systemctl is-active nonsense", timeout=60).returncode == 4
    assert host.run("systemctl frobnicate ssh", timeout=60).returncode == 1


def test_a_service_that_fails_is_started_again_and_one_that_is_stopped_is_gone(host: Host) -> None:
    command = "/bin/sh -c 'echo x >>/var/starts; test -e /var/stay && exec sleep 99; exit 1'"
    text = f"[Service]\nExecStart={command}\nRestart=on-failure\nRestartSec=0.1\n"
    lines(host, f"cat >/etc/systemd/system/again.service <<'END'\n{text}END\nsystemctl start again")
    until(lambda: len(lines(host, "cat /var/starts")) > 2, "it to be started again and again")
    lines(host, "touch /var/stay")
    until(lambda: lines(host, "systemctl is-active again || true") == ["active"], "it to stay")
    lines(host, "systemctl stop again")
    assert lines(host, f"{SLEEPERS}; systemctl is-active again || true") == ["0", "inactive"]


def test_commands_that_start_one_service_at_once_start_it_once(host: Host) -> None:
    text = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'sleep 0.5; echo x >>/var/starts'\n"
    lines(host, f"cat >/etc/systemd/system/once.service <<'END'\n{text}END")
    lines(host, "for n in 1 2 3; do systemctl start once & done; wait")
    assert lines(host, "cat /var/starts; systemctl is-active once") == ["x", "active"]


def test_a_machine_without_curl_ip_and_unzip_has_stand_ins_for_them(host: Host) -> None:
    for name in ("curl", "ip", "unzip"):
        lines(host, f"install -m 0755 /dev/stdin /usr/local/bin/my-{name} <<'END'\n{launcher(name)}END")
    put = "-fsS --max-time 30 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token"
    ask = "http://169.254.169.254/latest/meta-data/instance-id"
    script = f"""token=$(my-curl {put})
my-curl -fsS -H "X-aws-ec2-metadata-token: $token" {ask}
my-curl -s -w '%{{http_code}}' {ask}"""
    assert lines(host, script) == ["i-000000000000000c8401"]
    lines(host, "my-ip rule add pref 100 to 169.254.169.254/32 uidrange 1-4294967294 prohibit")
    assert "100:\tfrom all to 169.254.169.254 uidrange 1-4294967294 prohibit" in lines(host, "my-ip rule show")
    assert host.run(f"my-curl {put}", timeout=60, user="nobody").returncode == 7
    bound = f"my-curl {put} --interface eth0"
    assert host.run(bound, timeout=60, user="nobody").returncode == 0  # to such a socket the kernel does not prohibit
    lines(host, "my-ip rule add pref 99 to 169.254.169.254/32 uidrange 1-4294967294 lookup 169")
    lines(host, "my-ip route replace broadcast 169.254.169.254/32 dev eth0 table 169")
    assert [host.run(bound, timeout=60, user=user).returncode for user in ("root", "nobody")] == [0, 7]
    helper = "to 127.0.0.0/8 uidrange 1-4294967294 ipproto tcp dport 20049-21049 prohibit"
    lines(host, f"my-ip rule add pref 100 {helper}")
    assert f"100:\tfrom all {helper}" in lines(host, "my-ip rule show")
    again = host.run(f"my-ip rule add pref 100 {helper}", timeout=60)
    assert (again.returncode, again.stderr) == (2, "RTNETLINK answers: File exists\n")
    lines(host, f"my-ip rule del pref 100 {helper}")
    assert f"100:\tfrom all {helper}" not in lines(host, "my-ip rule show")
    assert host.run("my-curl -sS http://no-such-host/", timeout=60).returncode == 6
    zipped = "https://awscli.amazonaws.com/awscli-exe-linux-x86_64-2.36.40.zip"
    lines(host, f"my-curl -fsS -o /var/x.zip {zipped}; my-unzip -q -o /var/x.zip -d /var/x")
    assert lines(host, "stat -c %a /var/x/aws/install") == ["755"]


def test_what_a_script_sleeps_takes_the_time_of_its_clock_and_so_does_its_time_out(host: Host) -> None:
    clock, began = Clock(1000), time.monotonic()
    with clock.busy():
        slept = host.run("#!/bin/bash\nsleep 600; date", timeout=900, clock=clock)
        hung = host.run("#!/bin/bash\nsleep infinity | cat", timeout=900, clock=clock)
    assert (slept.returncode, hung.returncode, hung.timed_out) == (0, -9, True)
    assert time.monotonic() - began < 600
    until(lambda: lines(host, SLEEPERS) == ["0"], "the end of what hung")


def test_many_scripts_run_at_once(host: Host) -> None:
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda number: host.run(f"#!/bin/bash\necho {number}", timeout=60), range(64)))
    assert [(each.returncode, each.stdout) for each in done] == [(0, f"{number}\n") for number in range(64)]


def test_a_full_disk_takes_nothing_until_there_is_room_again(host: Host) -> None:
    write = "head -c 100000 /dev/zero >/var/tmp/more && df --output=avail / | tail -n 1"
    host.fill_disk()
    refused = host.run(write, timeout=60)
    assert (refused.returncode, "No space left on device" in refused.stderr) == (1, True)
    host.empty_disk()
    assert int(host.run(write, timeout=60).stdout) > 1_000_000


def test_without_its_cable_a_host_reaches_no_one(world: World, host: Host) -> None:
    ask = "curl -sS -o /dev/null --max-time 30 http://169.254.169.254/"
    host.connect(connected=False)
    assert host.run(ask, timeout=60).returncode == 7
    host.connect(connected=True)
    assert host.run(ask, timeout=60).returncode == 0


def test_a_new_machine_updates_itself_and_holds_both_locks_of_apt_meanwhile(host: Host) -> None:
    host.run_boot()
    lists, dpkg = "/var/lib/apt/lists/lock", "/var/lib/dpkg/lock-frontend"
    locked = f"! flock --nonblock {lists} true && ! flock --nonblock {dpkg} true"
    until(lambda: host.run(locked, timeout=60).returncode == 0, "both locks of apt")
    refused = host.run("apt-get update", timeout=60)
    assert (refused.returncode, refused.stderr) == (
        100,
        f"E: Could not get lock {lists}. It is held by another process\n",
    )
    lines(host, "systemctl stop apt-daily.service; apt-get update")
    refused = host.run("apt-get install -y psmisc", timeout=60)
    assert (refused.returncode, refused.stderr) == (
        100,
        f"E: Could not get lock {dpkg}. It is held by another process\n",
    )
    lines(host, "mkdir -p /etc/apt/apt.conf.d; echo 'DPkg::Lock::Timeout \"60\";' >/etc/apt/apt.conf.d/90x")
    lines(host, "(/bin/sleep 1; systemctl stop apt-daily-upgrade.service) & apt-get install -y psmisc; wait")


NOTIFIES = """[Unit]
ConditionPathExists=|/var/there
ConditionDirectoryNotEmpty=|/var/filled

[Service]
Type=notify
TimeoutStartSec={}
ExecStart=/bin/bash -c 'echo starting; sleep 0.3; touch /var/ready; {}'
"""
NOTIFY = "exec python3 /opt/notify"
SEND = """import os, socket, time
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
time.sleep(600)
"""


def test_a_service_that_notifies_is_started_once_it_is_ready_or_not_at_all(host: Host) -> None:
    placed = f"cat >/opt/notify <<'END'\n{SEND}END\n"
    for name, seconds, end in (("good", 90, NOTIFY), ("bad", 90, "exit 3"), ("slow", 1, "exec sleep 600")):
        placed += f"cat >/etc/systemd/system/{name}.service <<'END'\n{NOTIFIES.format(seconds, end)}END\n"
    assert host.run(
        f"{placed}\nmkdir /var/filled; systemctl start good; systemctl is-active good", timeout=60
    ).stdout == (
        "inactive\n"  # none of the two conditions holds
    )
    done = host.run(
        "touch /var/filled/file; systemctl start good && ls /var/ready; systemctl is-active good", timeout=60
    )
    assert (done.stdout, done.returncode) == ("/var/ready\nactive\n", 0)
    done = host.run("systemctl start bad", timeout=60)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        1,
        "Job for bad.service failed because the control process exited with error code.",
    )
    done = host.run("systemctl start slow; journalctl -u slow | tail -n 1", timeout=60)
    assert done.stderr.splitlines()[0] == "Job for slow.service failed because a timeout was exceeded."
    assert done.stdout.endswith("slow.service: Failed with result 'timeout'.\n")
