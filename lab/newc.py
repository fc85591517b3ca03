"""lab/newc.py: writes the cpio archive (format "newc") that the kernel unpacks beside its initramfs.

An initramfs may be several archives one after the other; this one holds what belongs to one run.
Called by lab/supervise.py alone.
"""

import os

_TRAILER = "TRAILER!!!"


def _entry(name, mode, data):
    """One member: header, name, data, each padded to four bytes. Owner and times are zero."""
    encoded = os.fsencode(name) + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    head = header + encoded
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def archive(members):
    """The archive's bytes. `members` yields (name, permission bits, contents)."""
    out = [_entry(name, 0o100000 | mode, data) for name, mode, data in members]
    out.append(_entry(_TRAILER, 0, b""))
    return b"".join(out)
