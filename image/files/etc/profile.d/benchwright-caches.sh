# Homes are on EFS, which is slow with thousands of small files (Posit, "Using Amazon EFS with Posit Team"). What can be fetched again
# is on the disk of this node: what pip, uv and npm download, and what packages of R keep (pak, and all that asks tools::R_user_dir).
# renv links to its cache from the libraries of projects, which other nodes read, too: it stays in the home. uv copies, since hard
# links cannot cross file systems.
benchwright_cache=/var/cache/people/$(id -un)
if [ "$(id -u)" -ge 1000 ] && { mkdir -m 0700 "$benchwright_cache" 2>/dev/null || { [ -O "$benchwright_cache" ] && [ ! -L "$benchwright_cache" ]; }; }; then
  export PIP_CACHE_DIR="$benchwright_cache/pip" UV_CACHE_DIR="$benchwright_cache/uv" UV_LINK_MODE=copy npm_config_cache="$benchwright_cache/npm"
  export R_USER_CACHE_DIR="$benchwright_cache/R" RENV_PATHS_CACHE="$HOME/.cache/R/renv/cache"
fi
unset benchwright_cache
