# Reads tools.tsv: which tools are here, and what the absent ones are called.
# Sourced by setup, doctor and lint, which set $here to this folder.

# tell_version NAME WORD...: when a word is --version prints it, and ends.
tell_version() {
  command_name=$1
  for word; do
    [ "$word" = --version ] || continue
    sed -n "s/^__version__ = \"\([^\"]*\)\".*/$command_name of Shrimpy \1/p" "$here/../gdb/shrimpy/__init__.py"
    exit 0
  done
}

# debian, fedora, arch, brew or other.
system_family() {
  if [ "$(uname)" = Darwin ]; then echo brew; return; fi
  ids=$(. /etc/os-release 2>/dev/null && echo "${ID:-} ${ID_LIKE:-}")
  case " $ids " in
    *" debian "*|*" ubuntu "*) echo debian ;;
    *" fedora "*|*" rhel "*) echo fedora ;;
    *" arch "*) echo arch ;;
    *) echo other ;;
  esac
}

# present PROBE: prints the first alternative that is here; fails when none is.
present() {
  rest=$1
  while [ -n "$rest" ]; do
    one=${rest%%|*}
    case $rest in *"|"*) rest=${rest#*|} ;; *) rest= ;; esac
    case $one in
      py:*) "$here/python" -c "import ${one#py:}" 2>/dev/null </dev/null && { echo "$one"; return 0; } ;;
      riscv:*) knows_riscv "${one#riscv:}" && return 0 ;;
      /*) [ -e "$one" ] && { echo "$one"; return 0; } ;;
      *+*) toolchain "${one%%+*}" "${one#*+}" && return 0 ;;
      *) command -v "$one" && return 0 ;;
    esac
  done
  return 1
}

# knows_riscv GDB: prints where it is; fails when it is not here, or knows other processors only.
knows_riscv() {
  command -v "$1" >/dev/null || return 1
  "$1" -nx -batch -ex 'set architecture riscv:rv64' 2>&1 </dev/null | grep -q 'set to "riscv:rv64"' && command -v "$1"
}

# toolchain PREFIX TOOL+TOOL...: prints the first tool; fails when one of them is not here.
toolchain() {
  for tool in $(echo "$2" | tr + ' '); do command -v "$1$tool" >/dev/null || return 1; done
  command -v "$1${2%%+*}"
}

# each_tool FUNCTION: calls it with every row's columns.
each_tool() {
  while IFS='	' read -r group probe debian fedora arch brew without; do
    case $group in '#'*|'') continue ;; esac
    "$1" </dev/null
  done <"$here/tools.tsv"
}

# package_name SYSTEM: the name of the row at hand.
package_name() {
  case $1 in
    fedora) echo "$fedora" ;;
    arch) echo "$arch" ;;
    brew) echo "$brew" ;;
    debian)
      case $debian in
        qemu-system-misc) qemu_package ;;
        chromium) ubuntus chromium-browser ;;
        chromium-driver) ubuntus chromium-chromedriver ;;
        *) echo "$debian" ;;
      esac ;;
    *) echo "$debian" ;;
  esac
}

# ubuntus NAME: the name of the row at hand where Ubuntu's is another.
ubuntus() { (. /etc/os-release; [ "$ID" = ubuntu ] && echo "$1" || echo "$debian"); }

# RISC-V left qemu-system-misc for a package of its own in Debian 13 and
# Ubuntu 25.04. apt knows, once it has lists.
qemu_package() {
  if [ -n "$(apt-cache show qemu-system-riscv 2>/dev/null)" ]; then
    echo qemu-system-riscv
    return
  fi
  . /etc/os-release
  major=${VERSION_ID:-99}
  major=${major%%.*}
  case $ID in
    debian) first=13 ;;
    ubuntu) first=25 ;;
    *) first=99 ;;
  esac
  [ "$major" -ge "$first" ] && echo qemu-system-riscv || echo qemu-system-misc
}

# missing_packages SYSTEM GROUP...: one name a line, each once.
missing_packages() {
  wanted_system=$1
  shift
  wanted_groups=" $* "
  named=" "
  each_tool name_when_missing
}
name_when_missing() {
  case $wanted_groups in *" $group "*) ;; *) return ;; esac
  present "$probe" >/dev/null && return
  name=$(package_name "$wanted_system")
  case $named in *" $name "*) return ;; esac
  named="$named$name "
  [ "$name" = - ] || echo "$name"
}
