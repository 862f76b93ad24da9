#!/bin/sh
# The action of polkit names the helper by its path, so the helper lies there under that very name: the same file
# once more, not a link that somebody could turn elsewhere.
set -e
app=/opt/bty
mkdir -p /usr/lib/bty
ln -f "$app/resources/bty" /usr/lib/bty/bty 2>/dev/null || cp -f "$app/resources/bty" /usr/lib/bty/bty
ln -sf "$app/bty-app" /usr/bin/bty-app
ln -sf /usr/lib/bty/bty /usr/bin/bty
for policy in "$app"/resources/linux/*.policy; do
  [ -e "$policy" ] && install -D -m 644 "$policy" "/usr/share/polkit-1/actions/${policy##*/}"
done
for rules in "$app"/resources/linux/*.rules; do
  [ -e "$rules" ] && install -D -m 644 "$rules" "/usr/lib/udev/rules.d/${rules##*/}"
done
# Without user namespaces the sandbox of Chromium needs its helper to belong to root.
if ! { [ -L /proc/self/ns/user ] && unshare --user true; } 2>/dev/null; then
  chmod 4755 "$app/chrome-sandbox" || true
fi
update-desktop-database -q 2>/dev/null || true
update-mime-database /usr/share/mime 2>/dev/null || true
