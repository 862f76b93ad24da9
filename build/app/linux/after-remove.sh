#!/bin/sh
set -e
case "$1" in upgrade) exit 0 ;; esac
rm -f /usr/lib/bty/bty /usr/bin/bty-app /usr/share/polkit-1/actions/org.bty.flash.policy
if [ -L /usr/bin/bty ] && [ ! -e /usr/bin/bty ]; then rm -f /usr/bin/bty; fi
rmdir --ignore-fail-on-non-empty /usr/lib/bty 2>/dev/null || true
