# What the scripts need of a machine; sourced by them, not run.

say() { printf '\n== %s\n' "$*"; }
warn() { printf '!! %s\n' "$*" >&2; }
die() {
  warn "$*"
  exit 1
}

# Installs packages with apt-get where it exists and may be used. Returns 1 where not.
apt_install() {
  command -v apt-get >/dev/null || return 1
  local as=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null || return 1
    as=(sudo -n)
  fi
  say "installing: $*"
  if [ -z "${apt_updated:-}" ]; then
    "${as[@]}" apt-get update -qq || true
    apt_updated=1
  fi
  "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" \
    >/dev/null || return 1
}

# What the build needs: a Rust toolchain, and a C compiler for the codecs.
need_build_tools() {
  if ! command -v cargo >/dev/null && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
    PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
  fi
  command -v cargo >/dev/null ||
    die "no cargo: install Rust from https://rustup.rs (the version is in Cargo.toml), then run this again"
  if ! command -v cc >/dev/null; then
    apt_install gcc libc6-dev ||
      die "no C compiler: install one as \`cc\` (Debian: gcc libc6-dev; macOS: xcode-select --install)"
  fi
  if grep -q '^name = "cmake"' Cargo.lock && ! command -v cmake >/dev/null; then
    apt_install cmake make || die "no cmake: install it (a dependency is built with it)"
  fi
}

need_python() {
  command -v python3 >/dev/null || apt_install python3 || die "no python3: install Python 3.10 or newer"
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    die "$(python3 --version) is too old for the readers: Python 3.10 or newer is needed"
}

# Makes the virtual environment $1 with what pip is given after it; nothing to do when it is there.
venv() {
  local folder=$1 wanted
  shift
  wanted=$(
    printf '%s\n' "$@"
    python3 --version
    for file in "$@"; do [ ! -f "$file" ] || cat "$file"; done
  )
  [ "$(cat "$folder/installed" 2>/dev/null)" = "$wanted" ] && return 0
  rm -rf "$folder"
  if ! python3 -m venv "$folder" >/dev/null 2>&1; then
    rm -rf "$folder"
    { apt_install python3-venv && python3 -m venv "$folder"; } || {
      warn "cannot make a virtual environment: install Python's venv (Debian: python3-venv)"
      return 1
    }
  fi
  "$folder/bin/python" -m pip install -q --disable-pip-version-check "$@" || {
    warn "pip could not install: $*"
    rm -rf "$folder"
    return 1
  }
  printf '%s\n' "$wanted" >"$folder/installed"
}

# Where cargo puts what it builds.
target_folder() {
  cargo metadata --no-deps --format-version 1 --offline 2>/dev/null |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])' 2>/dev/null ||
    printf '%s\n' "${CARGO_TARGET_DIR:-target}"
}

# Java 17 or newer, for Spark: on the path, in JAVA_HOME, or where Debian puts it.
has_java() {
  local java version
  for java in "${JAVA_HOME:-/none}/bin/java" "$(command -v java || true)" /usr/lib/jvm/*/bin/java; do
    [ -x "$java" ] || continue
    version=$("$java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -1)
    if [ "${version:-0}" -ge 17 ]; then
      JAVA_HOME=$(dirname "$(dirname "$(readlink -f "$java")")")
      export JAVA_HOME
      return 0
    fi
  done
  return 1
}
