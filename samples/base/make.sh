#!/usr/bin/env bash
# Build the base images of the samples from Debian packages, without a registry:
#
#   localrun-base/python:latest   Python with its standard library and a shell (also tagged :X.Y)
#   localrun-base/busybox:latest  a shell with common commands, 2 MB
#
# Usage: samples/base/make.sh [python] [busybox]      (default: both)
#
# Needs a Docker engine, and apt and dpkg of Debian 12 or later, or a similar Ubuntu. Images that were built
# by this version of the script are kept.
set -euo pipefail

VERSION=$(cksum <"${BASH_SOURCE[0]}" | cut -d' ' -f1)
LABEL=org.opencontainers.image.version
WORK=
COMPILE='
import bz2, compileall, ctypes, hashlib, json, lzma, py_compile, sqlite3, ssl, sys, zlib
root, version = sys.argv[1:]
compileall.compile_dir(f"{root}/usr/lib/python{version}", quiet=2, stripdir=root, prependdir="/",
    invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
'

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# is_there NAME: the image exists and was built by this version of the script
is_there() {
    [[ $(docker image inspect --format "{{index .Config.Labels \"$LABEL\"}}" "$1" 2>/dev/null) == "$VERSION" ]]
}

need() {
    command -v "$1" >/dev/null || fail "$1 not found: cannot build a base image from packages" \
        "Use an image of a registry instead: BASE_IMAGE=python:3.12-slim (or another with Python)."
}

# download PACKAGE...: download .deb files; update the package lists once if they are missing or old
download() {
    apt-get -qq download "$@" 2>download.log && return
    [[ $(id -u) == 0 ]] || fail "cannot download Debian packages: $(tail -n 3 download.log)" \
        "Run 'apt-get update' as root and try again."
    apt-get -qq update >update.log 2>&1 || fail "apt-get update failed: $(tail -n 3 update.log)"
    apt-get -qq download "$@" 2>download.log || fail "cannot download Debian packages: $(tail -n 3 download.log)"
}

# unpack ROOT: unpack the downloaded packages into ROOT, with /bin, /sbin and /lib* inside /usr
unpack() {
    local root=$1 deb name
    mkdir -p "$root/usr"
    for deb in *.deb; do
        dpkg-deb --extract "$deb" "$root"
    done
    for name in bin sbin lib lib32 lib64 libx32; do
        [[ -d $root/$name && ! -L $root/$name ]] || continue
        mkdir -p "$root/usr/$name"
        cp -a "$root/$name/." "$root/usr/$name/"
        rm -r "${root:?}/$name"
    done
    for name in bin sbin lib lib64; do
        [[ ! -d $root/usr/$name ]] || ln -sfn "usr/$name" "$root/$name"
    done
    rm -rf "$root"/usr/share/{doc,man,lintian,bug,applications,pixmaps,doc-base} "$root/usr/lib/debug"
}

# furnish ROOT: add files that programs expect on any Linux
furnish() {
    local root=$1 applet
    mkdir -p "$root"/{bin,etc,root,home,tmp,var/tmp,run,proc,sys,dev}
    chmod 1777 "$root/tmp" "$root/var/tmp"
    chmod 0700 "$root/root"
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n' >"$root/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
    printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
    for applet in $("$root/bin/busybox" --list); do
        [[ -e $root/bin/$applet || -L $root/bin/$applet ]] || ln -s busybox "$root/bin/$applet"
    done
}

# import ROOT NAME CHANGE...: create an image from a folder, with all files owned by root
import() {
    local root=$1 name=$2 old change changes=()
    shift 2
    old=$(docker image inspect --format '{{.Id}}' "$name" 2>/dev/null || true)
    for change in "LABEL $LABEL=$VERSION" "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" "$@"; do
        changes+=(--change "$change")
    done
    tar --create --directory "$root" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner . |
        docker import --message "made from Debian packages" "${changes[@]}" - "$name" >/dev/null
    # an image that others are based on cannot be removed and is kept
    [[ -z $old ]] || docker image rm "$old" >/dev/null 2>&1 || true
}

# with_work FUNCTION: call it in a temporary folder that is always removed
with_work() {
    need apt-get
    need dpkg-deb
    WORK=$(mktemp -d)
    trap 'rm -rf "$WORK"' EXIT
    chmod 0755 "$WORK"
    (cd "$WORK" && "$1")
    rm -rf "$WORK"
}

make_busybox() {
    download busybox-static
    unpack root
    furnish root
    import root localrun-base/busybox:latest 'CMD ["/bin/sh"]'
}

# the Python of the release: python3 depends on python3.11 on Debian 12
python_version() {
    apt-cache depends python3-minimal 2>/dev/null | sed -n 's/.*Depends: python\(3\.[0-9]*\)-minimal.*/\1/p' | head -n 1
}

# the packages of Python and the shared libraries of its standard library
python_packages() {
    printf '%s\n' busybox-static python3-minimal "python$1-minimal"
    apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
        --no-enhances "python$1-minimal" "libpython$1-stdlib" |
        grep -E '^(lib|zlib1g)' | grep -vE '^lib(perl|acl|selinux|pcre|md0|gdbm|db5)' | sort -u
}

# compile ROOT X.Y: precompile bytecode with the loader and libraries of the image, which also tests them;
# those of this machine may be of another release.
compile() {
    local root=$PWD/$1 library
    library=$(echo "$root"/usr/lib/*-linux-*/)
    PYTHONHOME=$root/usr "$(echo "$library"ld-linux*.so.*)" --library-path "$library" "$root/usr/bin/python$2" \
        -c "$COMPILE" "$root" "$2" 2>compile.log || fail "the unpacked Python does not work: $(tail -n 3 compile.log)"
}

make_python() {
    local version packages
    version=$(python_version)
    if [[ -z $version ]]; then
        download python3-minimal # refreshes the lists
        version=$(python_version)
    fi
    mapfile -t packages < <(python_packages "$version")
    download "${packages[@]}"
    unpack root
    furnish root
    rm -rf "root/usr/lib/python$version"/{ensurepip,idlelib,lib2to3,pydoc_data,test,turtledemo,tkinter}
    ln -sf "python$version" root/usr/bin/python3
    ln -sf python3 root/usr/bin/python
    compile root "$version"
    import root localrun-base/python:latest 'CMD ["python3"]'
    docker tag localrun-base/python:latest "localrun-base/python:$version"
}

main() {
    local kind kinds=("$@")
    [[ $# -gt 0 ]] || kinds=(python busybox)
    docker version >/dev/null 2>&1 ||
        fail "no Docker engine answers" "hint: run 'make docker', or set DOCKER_HOST"
    for kind in "${kinds[@]}"; do
        [[ $kind == python || $kind == busybox ]] || fail "unknown base image '$kind'; expected python or busybox"
        is_there "localrun-base/$kind:latest" && continue
        echo "building localrun-base/$kind from Debian packages"
        with_work "make_$kind"
    done
}

main "$@"
