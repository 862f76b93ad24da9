"""An authentication agent of polkit whose person closes the question, as the dialogs of desktops let them."""
import sys

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

PATH = "/org/bty/Agent"


class Cancelled(dbus.DBusException):
    _dbus_error_name = "org.freedesktop.PolicyKit1.Error.Cancelled"


class Agent(dbus.service.Object):
    @dbus.service.method(
        "org.freedesktop.PolicyKit1.AuthenticationAgent", in_signature="sssa{ss}saa{sv}"
    )
    def BeginAuthentication(self, action, message, icon, details, cookie, identities):
        print(f"asked: {message}", flush=True)
        raise Cancelled("closed")

    @dbus.service.method("org.freedesktop.PolicyKit1.AuthenticationAgent", in_signature="s")
    def CancelAuthentication(self, cookie):
        pass


def started(pid: int) -> int:
    with open(f"/proc/{pid}/stat") as stat:
        return int(stat.read().rpartition(")")[2].split()[19])


dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
bus = dbus.SystemBus()
agent = Agent(bus, PATH)
pid = int(sys.argv[1])
subject = (
    "unix-process",
    {"pid": dbus.UInt32(pid), "start-time": dbus.UInt64(started(pid))},
)
authority = bus.get_object("org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority")
authority.RegisterAuthenticationAgent(
    subject, "C", PATH, dbus_interface="org.freedesktop.PolicyKit1.Authority"
)
print("registered", flush=True)
GLib.MainLoop().run()
