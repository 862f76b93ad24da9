#!/bin/sh
# What the app needs outside of its folder: its names on the path, the action that polkit asks by, and rules of udev.
set -e
app=/opt/bty
ln -sf "$app/bty-app" /usr/bin/bty-app
ln -sf "$app/resources/bty" /usr/bin/bty
ln -sf "$app/resources/bty-web" /usr/bin/bty-web
for policy in "$app"/resources/linux/*.policy; do
  if [ -e "$policy" ]; then install -D -m 644 "$policy" "/usr/share/polkit-1/actions/${policy##*/}"; fi
done
for rules in "$app"/resources/linux/*.rules; do
  if [ -e "$rules" ]; then install -D -m 644 "$rules" "/usr/lib/udev/rules.d/${rules##*/}"; fi
done
# Without user namespaces for everybody the sandbox of Chromium needs its helper to belong to root.
chown root:root "$app/chrome-sandbox"
chmod 4755 "$app/chrome-sandbox"
update-desktop-database -q 2>/dev/null || true
update-mime-database /usr/share/mime 2>/dev/null || true
