#!/usr/bin/env bash
# Build the base images of the samples from Debian packages, without a registry:
#
#   localrun-base/python:latest   Python with its standard library, pip, venv and a shell (also tagged :X.Y)
#   localrun-base/busybox:latest  a shell with common commands, 2 MB
#
# Usage: samples/base/make.sh [-t NAME] [python] [busybox] [PACKAGE...]      (default: python busybox)
#
# With Debian packages, such as python3-numpy, it builds the Python image with them and what they depend on, and
# prints its name: localrun-base/python:numpy, or NAME. localrun-base/python:latest stays as it is.
#
# Needs a Docker engine, and apt and dpkg of Debian 12 or later, or a similar Ubuntu. Images that were built
# by this version of the script are kept.
set -euo pipefail

VERSION=$(cksum <"${BASH_SOURCE[0]}" | cut -d' ' -f1)
LABEL=org.opencontainers.image.version
WORK=
PACKAGES=() # to add to the Python image
TARGET=     # the name of the image to build
COMPILE='
import bz2, compileall, ctypes, hashlib, json, lzma, py_compile, sqlite3, ssl, sys, zlib
root, version = sys.argv[1:]
for folder in (f"python{version}", "python3/dist-packages"):
    compileall.compile_dir(f"{root}/usr/lib/{folder}", quiet=2, stripdir=root, prependdir="/",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
'
# Packages that others depend on but no program needs in a container: those that install or configure
# packages, and a compiler that python3-scipy asks for.
UNNEEDED=(dpkg tar debconf perl perl-base media-types readline-common python3-pythran)

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# is_there NAME VERSION: the image exists and was built by this version of the script
is_there() {
    [[ $(docker image inspect --format "{{index .Config.Labels \"$LABEL\"}}" "$1" 2>/dev/null) == "$2" ]]
}

need() {
    command -v "$1" >/dev/null || fail "$1 not found: cannot build a base image from packages" \
        "Use an image of a registry instead: BASE_IMAGE=python:3.12-slim (or another with Python)."
}

# update_lists REASON: update the package lists, or fail with the reason if the user may not
update_lists() {
    [[ $(id -u) == 0 ]] || fail "$1" "Run 'apt-get update' as root and try again."
    apt-get -qq update >update.log 2>&1 || fail "apt-get update failed: $(tail -n 3 update.log)"
}

# download PACKAGE...: download .deb files; update the package lists once if they are missing or old
download() {
    apt-get -qq download "$@" 2>download.log && return
    update_lists "cannot download Debian packages: $(tail -n 3 download.log)"
    apt-get -qq download "$@" 2>download.log || fail "cannot download Debian packages: $(tail -n 3 download.log)"
}

# closure PACKAGE...: the packages and what they depend on, as apt would install them on an empty machine
closure() {
    local name
    : >empty
    for name in "${UNNEEDED[@]}"; do
        [[ " $* " == *" $name "* ]] ||
            printf '%s\n' "Package: $name" "Status: install ok installed" "Architecture: $(dpkg --print-architecture)" \
                "Multi-Arch: allowed" "Version: 999:1" "Provides: debconf-2.0" "Maintainer: -" "Description: -" ""
    done >unneeded
    simulate unneeded "$@" || simulate empty "$@"
}

# simulate STATUS PACKAGE...: the packages that apt would install where those of STATUS are installed
simulate() {
    apt-get -q -o Dir::State::status="$PWD/$1" -o Debug::NoLocking=1 --no-install-recommends --simulate \
        install "${@:2}" >closure.log 2>&1 && sed -n 's/^Inst \([^ ]*\).*/\1/p' closure.log
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
    # what the installation of these packages would link or write
    for name in "$root"/usr/lib/*-linux-*/{blas,lapack}/*.so.*; do
        [[ ! -e $name ]] || ln -sfn "${name#"${name%/*/*}"/}" "${name%/*/*}/${name##*/}"
    done
    if [[ -d $root/usr/share/ca-certificates ]]; then
        mkdir -p "$root/etc/ssl/certs" "$root/usr/lib/ssl"
        find "$root/usr/share/ca-certificates" -name '*.crt' -print0 | sort -z | xargs -0 cat \
            >"$root/etc/ssl/certs/ca-certificates.crt"
        ln -sfn /etc/ssl/certs "$root/usr/lib/ssl/certs"
        ln -sfn /etc/ssl/certs/ca-certificates.crt "$root/usr/lib/ssl/cert.pem"
    fi
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

# import ROOT NAME VERSION CHANGE...: create an image from a folder, with all files owned by root
import() {
    local root=$1 name=$2 version=$3 old change changes=()
    shift 3
    old=$(docker image inspect --format '{{.Id}}' "$name" 2>/dev/null || true)
    for change in "LABEL $LABEL=$version" "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" "$@"; do
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
    import root "$TARGET" "$VERSION" 'CMD ["/bin/sh"]'
}

# the Python of the release: python3 depends on python3.11 on Debian 12
python_version() {
    apt-cache depends python3-minimal 2>/dev/null | sed -n 's/.*Depends: python\(3\.[0-9]*\)-minimal.*/\1/p' | head -n 1
}

# the packages of Python and those to add; libstdc++6 is what wheels such as numpy expect on any Linux
python_packages() {
    local wanted=(busybox-static "python$1-minimal" python3-minimal "libpython$1-stdlib" python3-pip python3-venv
        ca-certificates libstdc++6 "${PACKAGES[@]}")
    closure "${wanted[@]}" && return
    update_lists "cannot find the Debian packages: $(grep '^E: ' closure.log)"
    closure "${wanted[@]}" || fail "cannot find the Debian packages:" "$(grep '^E: ' closure.log)" \
        "hint: search for the name with 'apt-cache search WORD'"
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
        update_lists "the package lists are missing"
        version=$(python_version)
    fi
    packages=$(python_packages "$version")
    # shellcheck disable=SC2086 # one word each
    download $packages
    unpack root
    furnish root
    rm -rf "root/usr/lib/python$version"/{idlelib,lib2to3,pydoc_data,test,turtledemo,tkinter,EXTERNALLY-MANAGED}
    ln -sf "python$version" root/usr/bin/python3
    ln -sf python3 root/usr/bin/python
    compile root "$version"
    import root "$TARGET" "$(python_label)" 'CMD ["python3"]'
    [[ ${PACKAGES[*]} || $TARGET != */python:latest ]] || docker tag "$TARGET" "${TARGET%latest}$version"
}

# the version in the label of a Python image, which depends on its packages
python_label() {
    printf '%s' "$VERSION" "${PACKAGES[@]/#/+}"
}

# python_name: the name of the Python image with the packages, such as localrun-base/python:numpy-scipy
python_name() {
    local IFS=- tag
    tag="${PACKAGES[*]#python3-}"
    tag=${tag//+/_}
    ((${#tag} <= 128)) || tag=${tag:0:110}-$(cksum <<<"$tag" | cut -d' ' -f1)
    echo "localrun-base/python:$tag"
}

# ensure FUNCTION NAME VERSION: build an image unless it is there
ensure() {
    TARGET=$2
    is_there "$2" "$3" && return
    echo "building ${2%:latest} from Debian packages"
    with_work "$1"
}

main() {
    local argument name= kinds=() packages=()
    while (($#)); do
        argument=$1
        shift
        case $argument in
            -t | --tag)
                (($#)) || fail "-t needs a name"
                name=$1
                shift
                ;;
            -h | --help) exec sed -n 's/^# \{0,1\}//;2,/^set/{/^set/!p}' "${BASH_SOURCE[0]}" ;;
            python | busybox) kinds+=("$argument") ;;
            *)
                [[ $argument =~ ^[a-z0-9][a-z0-9+.-]+$ ]] ||
                    fail "invalid package name '$argument'; expected python, busybox or Debian packages such as python3-numpy"
                packages+=("$argument")
                ;;
        esac
    done
    [[ -z $name || ${packages[*]} ]] || fail "-t is for an image with Debian packages; name at least one"
    [[ $name == *:* || -z $name ]] || name+=:latest
    [[ ${kinds[*]} || ${packages[*]} ]] || kinds=(python busybox)
    docker version >/dev/null 2>&1 ||
        fail "no Docker engine answers" "hint: run 'make docker', or set DOCKER_HOST"
    for argument in "${kinds[@]}"; do
        ensure "make_$argument" "localrun-base/$argument:latest" "$VERSION"
    done
    [[ ${packages[*]} ]] || return 0
    mapfile -t PACKAGES < <(printf '%s\n' "${packages[@]}" | sort -u)
    name=${name:-$(python_name)}
    ensure make_python "$name" "$(python_label)"
    echo "$name"
}

main "$@"
