"""Reads this machine's load from /proc for some seconds and inserts it into the tables cpu and machine, in batches."""

import datetime
import pathlib
import platform
import sys
import time

import psycopg

PROC = pathlib.Path("/proc")
PERIOD = 0.1
BATCH = 10


def cores():
    """For each core its jiffies: all of them, idle, and waiting for disks."""
    for line in (PROC / "stat").read_text().splitlines():
        name, *numbers = line.split()
        if name.startswith("cpu") and name != "cpu":
            jiffies = [int(number) for number in numbers[:8]]
            yield int(name[3:]), sum(jiffies), jiffies[3], jiffies[4]


def machine():
    """Load, memory in use in MB, and in KB what disks read and wrote and networks carried since the start."""
    load = float((PROC / "loadavg").read_text().split()[0])
    memory = {line.split(":")[0]: int(line.split()[1]) for line in (PROC / "meminfo").read_text().splitlines()}
    disks = [line.split() for line in (PROC / "diskstats").read_text().splitlines()]
    whole = [disk for disk in disks if (pathlib.Path("/sys/block") / disk[2]).exists()]
    networks = [line.split(":")[1].split() for line in (PROC / "net" / "dev").read_text().splitlines()[2:]]
    return (load, (memory["MemTotal"] - memory["MemAvailable"]) / 1024, sum(int(disk[5]) for disk in whole) // 2,
            sum(int(disk[9]) for disk in whole) // 2, sum(int(net[0]) + int(net[8]) for net in networks) // 1024)


def main():
    end = time.monotonic() + float(sys.argv[1])
    host = platform.node() or "localhost"
    before = {core: rest for core, *rest in cores()}
    cpu_rows, machine_rows, inserted = [], [], 0
    with psycopg.connect(autocommit=True) as db, db.cursor() as cursor:
        def insert():
            cursor.executemany("INSERT INTO cpu VALUES (%s, %s, %s, %s, %s)", cpu_rows)
            cursor.executemany("INSERT INTO machine VALUES (%s, %s, %s, %s, %s, %s, %s)", machine_rows)
            count = len(cpu_rows) + len(machine_rows)
            cpu_rows.clear()
            machine_rows.clear()
            return count

        while time.monotonic() < end:
            time.sleep(PERIOD)
            now = datetime.datetime.now(datetime.timezone.utc)
            for core, *after in cores():
                total, idle, waiting = (new - old for new, old in zip(after, before.get(core, after)))
                before[core] = after
                if total > 0:
                    cpu_rows.append((now, host, core, 100 * (total - idle - waiting) / total, 100 * waiting / total))
            machine_rows.append((now, host, *machine()))
            if len(machine_rows) == BATCH:
                inserted += insert()
        inserted += insert()
    print(f"{inserted} rows inserted, {BATCH} readings at a time.")


if __name__ == "__main__":
    main()
