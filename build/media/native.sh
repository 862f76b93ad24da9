#!/bin/sh
# Called by mmdebstrap around the installation of packages for another architecture, with "on" or "off" and the root of
# the system. Scripts of packages start small programs many thousand times, and to start one under emulation takes
# longer than what it does: until "off" those of this machine stand in for them, each the same program of Debian. Nothing
# is mounted, since mmdebstrap removes a root that failed, and whatever is mounted in it. None is a program that
# mkinitramfs copies: kmod stays as it is, and the shell and the tools in there are those of klibc.
set -e
root=$2
aside=$root/native
case $1 in
on)
  mkdir "$aside"
  for name in dash bash sed grep mawk gzip tar find xargs basename cat chmod chown cp cut date dirname env expr head id \
    install ln ls mkdir mktemp mv readlink realpath rm rmdir sort stat tail tee touch tr uniq wc; do
    here=/usr/bin/$name
    there=$root/usr/bin/$name
    [ -f "$there" ] && [ ! -L "$there" ] || continue
    [ -f "$here" ] || here=/bin/$name
    [ -f "$here" ] && [ ! -L "$here" ] || continue
    for library in $(ldd "$here" | grep -o '/[^ )]*'); do
      [ ! -e "$root$library" ] || continue
      mkdir -p "$root${library%/*}"
      cp -L "$library" "$root$library"
      echo "$library" >>"$aside/.libraries"
    done
    cp "$here" "$there.native"
    mv "$there" "$aside/$name"
    mv "$there.native" "$there"
  done
  ;;
off)
  for path in "$aside"/*; do mv "$path" "$root/usr/bin/${path##*/}"; done
  while read -r library; do
    rm "$root$library"
    rmdir "$root${library%/*}" 2>/dev/null || :
  done <"$aside/.libraries"
  rm "$aside/.libraries"
  rmdir "$aside"
  ;;
esac
