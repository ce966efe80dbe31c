"""Packages of the download mirror."""

from pathlib import Path

import pytest

from rehearsal.hosts import debian, packages


def test_an_image_passes_its_checks_of_sssd_on_a_machine_without_sssd_and_pam(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other distributions keep the modules of PAM elsewhere; image/components/sssd.yaml looks where Ubuntu has them."""
    monkeypatch.setattr(debian, "FOLDER", tmp_path)
    monkeypatch.setattr(packages, "PAM_MODULES", "usr/lib/nowhere")
    (whole,) = (each for each in packages.ubuntu_archive() if each.name == "sssd-common")
    programs = {f"usr/sbin/{name}" for name in ("sssd", "sssctl", "adcli")}
    modules = {f"usr/lib/nowhere/{name}.so" for name in ("pam_sss", "pam_mkhomedir")}
    assert whole.files.keys() >= programs | modules
