#!/bin/sh
# The action of polkit names the helper by its path, so the helper lies there under that very name: the same file
# once more, not a link that somebody could turn elsewhere.
set -e
app=/opt/bty
mkdir -p /usr/lib/bty
ln -f "$app/resources/bty" /usr/lib/bty/bty 2>/dev/null || cp -f "$app/resources/bty" /usr/lib/bty/bty
ln -sf "$app/bty-app" /usr/bin/bty-app
ln -sf /usr/lib/bty/bty /usr/bin/bty
if [ -d "$app/resources/linux" ]; then
  install -D -m 644 "$app/resources/linux/org.bty.policy" /usr/share/polkit-1/actions/org.bty.policy
fi
# Without user namespaces the sandbox of Chromium needs its helper to belong to root.
if ! { [ -L /proc/self/ns/user ] && unshare --user true; } 2>/dev/null; then
  chmod 4755 "$app/chrome-sandbox" || true
fi
update-desktop-database -q 2>/dev/null || true
update-mime-database /usr/share/mime 2>/dev/null || true
