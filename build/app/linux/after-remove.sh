#!/bin/sh
set -e
case "$1" in upgrade | 1) exit 0 ;; esac
rm -f /usr/share/polkit-1/actions/org.bty.flash.policy /usr/share/polkit-1/actions/org.bty.appliance.policy
rm -f /usr/lib/udev/rules.d/70-bty.rules
for name in bty bty-app bty-web; do
  if [ -L "/usr/bin/$name" ] && [ ! -e "/usr/bin/$name" ]; then rm -f "/usr/bin/$name"; fi
done
