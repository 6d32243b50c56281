"""What the figures were measured on."""

import os
import pathlib
import platform
import time


def describe():
    model = "unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = int(pathlib.Path("/proc/meminfo").read_text().split()[1]) / 1024 / 1024
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB of memory, Linux {platform.release().split('-')[0]}"


def mount_of(directory, table=None):
    """Device and file system of the longest mount point above a directory; of several at the same place the last one counts."""
    directory = pathlib.Path(directory).resolve()
    found = (pathlib.Path("/"), "unknown", "unknown")
    table = pathlib.Path("/proc/self/mounts").read_text() if table is None else table
    for line in table.splitlines():
        device, point, kind = line.split(" ")[:3]
        # Blanks and the like are written in octal.
        point = pathlib.Path(point.encode().decode("unicode_escape"))
        if directory.is_relative_to(point) and len(point.parts) >= len(found[0].parts):
            found = (point, device, kind)
    return found[1:]


def file_system(directory):
    """Its name, and what a sync on it goes through."""
    device, kind = mount_of(directory)
    name = device.rsplit("/", 1)[-1]
    notes = []
    journals = pathlib.Path("/proc/fs/jbd2")
    if kind == "ext4":
        notes.append("journaled" if any(journals.glob(f"{name}-*")) else "without a journal")
    if name.startswith("loop"):
        notes.append("an image on a loop device")
    return f"{kind} ({', '.join(notes)})" if notes else kind


def busy_share(seconds):
    """What part of all cores is busy while we do nothing for so long."""
    def look():
        numbers = [int(n) for n in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return sum(numbers), numbers[3] + numbers[4]
    total, idle = look()
    time.sleep(seconds)
    total_after, idle_after = look()
    return 1 - (idle_after - idle) / max(total_after - total, 1)
