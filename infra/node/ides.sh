# shellcheck shell=bash
# The IDEs of the image: those that Workbench brings, and those that it does not (image/components/jupyter.yaml), and TinyTeX.

readonly BROUGHT=/usr/lib/rstudio-server/bin PYTHONS=/opt/python
readonly VSCODE=$BROUGHT/pwb-code-server VSCODE_CONF=/etc/rstudio/vscode.conf
readonly PCI_DEVICES=/sys/bus/pci/devices
readonly JUPYTER=$PYTHONS/jupyter JUPYTER_CONF=/etc/rstudio/jupyter.conf

# The version of JupyterLab, by the metadata of its package: to start it takes a second.
jupyterlab() {
  local package
  [ -x "$JUPYTER/bin/jupyter" ] || return 0
  for package in "$JUPYTER"/lib/python*/site-packages/jupyterlab-[0-9]*.dist-info; do
    package=${package##*/jupyterlab-}
    if [ "$package" != '[0-9]*.dist-info' ]; then echo "${package%.dist-info}"; fi
  done
}

# The versions of Python that JupyterLab has a kernel for.
kernels() {
  local file
  for file in "$JUPYTER"/share/jupyter/kernels/*/kernel.json; do
    [[ $(contents "$file") =~ "$PYTHONS"/([0-9.]+)/bin/python[0-9.]* ]] || continue
    if [ -x "${BASH_REMATCH[0]}" ]; then echo "${BASH_REMATCH[1]}"; fi
  done | sort -V
}

# FOLDER PROGRAM KEY: the version of a VS Code or Positron server, from its product.json; unknown if only the program is there.
server_version() {
  local version
  [ -x "$1/bin/$2" ] || return 0
  version=$(sed -n "s/^.*\"$3\": *\"\([^\"]*\)\".*/\1/p" "$1/product.json" 2>/dev/null) || true
  echo "${version:-unknown}"
}

# Workbench uses the newest one below its folder. Older packages have it at the top of that folder.
positron() {
  local program
  program=$(find "$BROUGHT/positron-server" -path '*/bin/positron-server' -type f 2>/dev/null | sort -V | tail -n 1) || true
  [ -z "$program" ] || server_version "${program%/bin/positron-server}" positron-server positronVersion
}

quarto_version() {
  local version
  [ -x /usr/local/bin/quarto ] || return 0
  version=$(contents "$BROUGHT/quarto/share/version")
  echo "${version:-unknown}"
}

# The release that the build wrote down, if users have the program that makes PDF.
tinytex() { if [ -x /usr/local/bin/pdflatex ]; then contents /etc/benchwright/tinytex; fi; }

# NAME VERSION: the first line, as far as the report has room for it.
version_of() {
  local line=${2%%$'\n'*}
  fact_or_null "$1" "${line:0:20}"
}

ides() {
  local found=()
  mapfile -t found < <(kernels)
  printf '{"kernels":'; json_list "${found[@]:0:8}"
  version_of jupyterlab "$(jupyterlab)"
  version_of vscode "$(server_version "$VSCODE" code-server version)"
  version_of positron "$(positron)"
  version_of quarto "$(quarto_version)"
  version_of tinytex "$(tinytex)"
  printf '}'
}

# The GPUs of NVIDIA that this instance has, and the version of the driver that reaches them.
gpus() {
  local driver device class vendor count=0
  for device in "$PCI_DEVICES"/*; do
    { read -r class <"$device/class" && read -r vendor <"$device/vendor"; } 2>/dev/null || continue
    if [[ $class == 0x03* && $vendor == 0x10de ]]; then count=$((count + 1)); fi # a display controller of NVIDIA
  done
  driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | sed -n 1p | cut -c 1-20) || true
  [[ $driver =~ ^[0-9.]+$ ]] || driver=''
  printf '{"count":%d,"driver":%s}' "$count" "$(json_or_null "$driver")"
}
