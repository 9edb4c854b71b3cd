#!/bin/sh
# Installs the static programs where there is no package for them, and takes them away again:
#
#   ./install.sh [--init systemd|openrc|sysvinit|none] sendmail-shim|smarthost...
#   ./install.sh --uninstall [--purge] sendmail-shim|smarthost...
#
# A file that stands in the way (another sendmail) is kept, and comes back when ours is uninstalled. Settings are never overwritten.
# Uninstalling keeps settings, queue and user; --purge takes them too. With DESTDIR=FOLDER only files are installed: no user, nothing started.
# shellcheck disable=SC2115 # package and folder names are constants here, never empty
set -eu
umask 022
cd "$(dirname "$0")"
root=${DESTDIR:-}

usage() {
    sed -n '2,8s/^# \{0,1\}//p' install.sh >&2
    exit 64
}

init_of_this_machine() {
    if [ -d /run/systemd/system ]; then
        echo systemd
    elif [ -x /sbin/openrc-run ]; then
        echo openrc
    elif [ -e /lib/init/init-d-script ]; then
        echo sysvinit
    else
        echo none
    fi
}

# Puts a file or link into its place in one step; what another program had there is kept.
put() { # PACKAGE FROM PATH
    place=$root$3
    case $3 in /etc/*.toml) [ ! -e "$place" ] || return 0 ;; esac
    mkdir -p "${place%/*}"
    if [ -e "$place" ] || [ -L "$place" ]; then
        if ! grep -qx "$3" "$root/usr/share/$1/files" 2> /dev/null; then
            mkdir -p "$root/usr/share/$1/replaced${3%/*}"
            mv "$place" "$root/usr/share/$1/replaced$3"
            echo "kept: /usr/share/$1/replaced$3"
        fi
    fi
    rm -f "$place.new"
    cp -P -p "$2" "$place.new"
    [ "$(id -u)" != 0 ] || chown -h 0:0 "$place.new"
    mv -f "$place.new" "$place"
    echo "$3" >> "$list"
}

make_user() { # NAME HOME
    grep -q "^$1:" /etc/passwd && return
    if command -v useradd > /dev/null; then
        useradd --system --user-group --no-create-home --home-dir "$2" --shell /bin/false "$1"
    elif command -v adduser > /dev/null; then # BusyBox
        addgroup -S "$1" 2> /dev/null || true
        adduser -S -D -H -h "$2" -s /bin/false -G "$1" -g Mail "$1"
    else
        id=100
        while cat /etc/passwd /etc/group | grep -q "^[^:]*:[^:]*:$id:"; do
            id=$((id + 1))
        done
        echo "$1:x:$id:" >> /etc/group
        echo "$1:x:$id:$id:Mail:$2:/bin/false" >> /etc/passwd
    fi
}

remove_user() { # NAME
    if command -v userdel > /dev/null; then
        userdel "$1"
    elif command -v deluser > /dev/null; then
        deluser "$1"
    else
        sed -i "/^$1:/d" /etc/passwd /etc/group
    fi || echo "user $1 is left" >&2
}

directories() { # PACKAGE
    case $1 in
    sendmail-shim) echo /var/spool/sendmail-shim ;;
    smarthost) echo /var/lib/smarthost /var/spool/smarthost ;;
    esac
}

units() { # PACKAGE: those to enable; they want the others
    for unit in "init/systemd/$1".s*; do
        echo "${unit##*/}"
    done
}

start() { # PACKAGE
    case $init in
    systemd)
        systemctl daemon-reload
        # shellcheck disable=SC2046 # words are wanted
        systemctl enable $(units "$1")
        systemctl start "$1.socket" && systemctl restart "$1.service" ;;
    openrc) rc-update -q add "$1" default; rc-service "$1" restart ;;
    sysvinit) update-rc.d "$1" defaults; "/etc/init.d/$1" restart ;;
    none) echo "no init system is known here; run as user $1, from whatever starts services: /usr/sbin/$1 $(word "$1")" ;;
    esac || echo "$1 is not started; see its log" >&2
}

word() { # PACKAGE: the command that stays in the foreground
    [ "$1" = smarthost ] && echo run || echo agent
}

stop() { # PACKAGE
    case $init in
    systemd)
        # shellcheck disable=SC2046 # words are wanted
        systemctl disable --now $(units "$1") ;;
    openrc) rc-service --ifstarted "$1" stop; rc-update -q del "$1" default ;;
    sysvinit) "/etc/init.d/$1" stop; update-rc.d "$1" remove ;;
    none) ;;
    esac || true
}

install_package() { # PACKAGE
    mkdir -p "$root/usr/share/$1"
    list=$root/usr/share/$1/files.new
    : > "$list"
    (cd "$1" && find . ! -type d | sed 's/^\.//') > "$list.wanted"
    while read -r path; do
        put "$1" "$1$path" "$path"
    done < "$list.wanted"
    rm "$list.wanted"
    case $init in
    systemd)
        for unit in "init/systemd/$1"[.-]*; do
            put "$1" "$unit" "/usr/lib/systemd/system/${unit##*/}"
        done ;;
    openrc | sysvinit) put "$1" "init/$init/$1" "/etc/init.d/$1" ;;
    none) ;;
    esac
    mkdir -p "$root/etc/$1"
    mv "$list" "$root/usr/share/$1/files"
    [ -z "$root" ] || return 0
    make_user "$1" "$(directories "$1" | cut -d' ' -f1)"
    for directory in $(directories "$1"); do
        mkdir -p "$directory"
        chmod 700 "$directory"
        chown "$1:$1" "$directory"
    done
    start "$1"
}

uninstall_package() { # PACKAGE
    files=$root/usr/share/$1/files
    [ -e "$files" ] || { echo "$1 is not installed" >&2; return 0; }
    [ -n "$root" ] || stop "$1"
    while read -r path; do
        case $path in /etc/*.toml) [ -n "$purge" ] || continue ;; esac
        rm -f "$root$path"
        if [ -e "$root/usr/share/$1/replaced$path" ] || [ -L "$root/usr/share/$1/replaced$path" ]; then
            mv "$root/usr/share/$1/replaced$path" "$root$path"
        fi
        rmdir -p "$root${path%/*}" 2> /dev/null || true
    done < "$files"
    rm -rf "$root/usr/share/$1"
    [ "$init" != systemd ] || [ -n "$root" ] || systemctl daemon-reload
    [ -n "$purge" ] || return 0
    rm -rf "$root/etc/$1"
    for directory in $(directories "$1"); do
        rm -rf "$root$directory"
    done
    [ -n "$root" ] || remove_user "$1"
}

action=install purge='' init=''
while [ $# -gt 0 ]; do
    case $1 in
    --uninstall) action=uninstall ;;
    --purge) purge=yes ;;
    --init) [ $# -gt 1 ] || usage; init=$2; shift ;;
    sendmail-shim | smarthost) packages="${packages:-} $1" ;;
    *) usage ;;
    esac
    shift
done
[ -n "${packages:-}" ] || usage
[ -n "$init" ] || init=$(init_of_this_machine)
case $init in
systemd | none) ;;
openrc | sysvinit) [ -d "init/$init" ] || { echo "install.sh: no scripts for $init are here" >&2; exit 69; } ;;
*) usage ;;
esac
for package in $packages; do
    "${action}_package" "$package"
done
