# shellcheck shell=bash
# The IDEs of the image that Workbench does not bring (image/components/jupyter.yaml).

readonly PYTHONS=/opt/python
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
  local file python
  for file in "$JUPYTER"/share/jupyter/kernels/*/kernel.json; do
    python=$(grep -oE "$PYTHONS/[0-9.]+/bin/python[0-9.]*" "$file" 2>/dev/null | sed -n 1p) || true
    if [ -x "$python" ]; then python=${python#"$PYTHONS/"}; echo "${python%%/*}"; fi
  done | sort -V
}

ides() {
  local found=()
  mapfile -t found < <(kernels)
  printf '{"jupyterlab":%s,"kernels":%s}' "$(json_or_null "$(jupyterlab | sed -n 1p)")" "$(json_list "${found[@]:0:8}")"
}
