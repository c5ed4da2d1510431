#!/usr/bin/env bash
# Turns a process in fresh namespaces into a host with an SSH server; started by hosts.py.
# In: the variables below and the folder HOST with keys/, shared/ and the host's own home/ and tmp/.
# Out: nothing; it becomes sshd. Decision: what the host may write (home, /tmp, /etc, the Python
# environment) is its own, and the clone is hidden, so that it has only what the launcher gives it.
#
# HOST_NAME                  of this host
# HOSTS                      lines of /etc/hosts for all of them
# SITE, HOST                 folder of all hosts, and of this one
# CLONE, VENV, PYTHONS       the repository, its environment, and the folder of the interpreter
# SHARED                     where all hosts see SITE/shared
set -euo pipefail

hostname "$HOST_NAME"
mount --make-rprivate /
home=$(getent passwd root | cut -d: -f6)

# /run holds what is hidden below: everything is taken from here once the real places are covered.
mount -t tmpfs tmpfs /run
mkdir -p /run/{sshd,site,host,venv,pythons} /run/layers/{etc,venv}/{upper,work}
mount --bind "$SITE" /run/site
mount --bind "$HOST" /run/host
mount --bind "$VENV" /run/venv
mount --bind "$PYTHONS" /run/pythons

layer() { # a writable layer of this host over a folder: where it is read, its name, where it goes
  mount -t overlay overlay \
    -o "lowerdir=$1,upperdir=/run/layers/$2/upper,workdir=/run/layers/$2/work" "$3"
}

mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /mnt
mount -t tmpfs tmpfs /var/log
touch /run/utmp /var/log/{wtmp,lastlog}
mount --bind /run/host/tmp /tmp
mount --bind /run/host/home "$home"
mkdir -p "$PYTHONS"
mount --bind /run/pythons "$PYTHONS"
mkdir -p "$CLONE"
mount -t tmpfs tmpfs "$CLONE"
mkdir -p "$VENV"
layer /run/venv venv "$VENV"
layer /etc etc /etc
mkdir -p "$SHARED"
mount --bind /run/site/shared "$SHARED"

# No name server: a name that is not in the list below fails at once.
rm -f /etc/resolv.conf
printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >/etc/resolv.conf
printf '127.0.0.1 localhost\n%s\n' "$HOSTS" >/etc/hosts
install -m 600 /run/site/keys/host /run/host_key
# The images of clouds have another name for a user who may do everything.
echo "ubuntu:x:0:0::$home:/bin/bash" >>/etc/passwd
printf '%s\n' 'HostKey /run/host_key' 'PidFile none' 'UsePAM no' \
  'PasswordAuthentication no' 'PermitRootLogin prohibit-password' 'MaxStartups 50' \
  'AuthorizedKeysFile .ssh/authorized_keys' >/run/sshd_config
exec /usr/sbin/sshd -D -e -f /run/sshd_config
