"""MAC authentication bypass in the reference switch: who may enter by a locked port, who is noted.

Written from what the Linux bridge does (br_handle_frame_finish() in net/bridge/br_input.c), and
not from ``datapath/mab.h``.
"""

from __future__ import annotations

from vswitch.reference_fdb import Fdb
from vswitch.reference_frame import Admitted


def lets_in(fdb: Fdb, port: int, a: Admitted, now_s: int, *, noted: bool) -> bool:
    """Whether a frame may enter by *port*, which is locked; *noted*: who may not, knocks.

    Who is known elsewhere stays there, whatever is said here in his name.
    """
    station = fdb.alive(a.vid, a.source, now_s)
    if station and station.port != port:
        return False
    if station and not station.locked:
        return True
    if noted:
        fdb.learn(a.vid, a.source, port, now_s, locked=True)
    return False
