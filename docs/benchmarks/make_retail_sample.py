"""Make the bundled log of purchases from the CC0 part of the log "Online Retail".

The folder holds interactions.tsv.xz, purchases with the columns user, item, unix_time and quantity,
and items.tsv.xz, items with their names.
"""

import argparse
import csv
import lzma
from pathlib import Path

#: The CC0 part begins here: 2010-12-01 08:26.
BEGIN = 1291191960
OUT = Path(__file__).parents[2] / "skxmr" / "datasets" / "data" / "retail_purchases"


def read(path):
    with lzma.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def write(path, header, rows):
    text = "\n".join("\t".join(map(str, row)) for row in [header, *rows]) + "\n"
    path.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    rows = [row for row in read(folder / "interactions.tsv.xz") if int(row["unix_time"]) >= BEGIN]
    users = {user: number for number, user in enumerate(dict.fromkeys(r["user"] for r in rows))}
    # Every second user in the order of the first purchase.
    kept = [row for row in rows if users[row["user"]] % 2 == 0]
    minutes = [int(row["unix_time"]) // 60 for row in kept]
    first = minutes[0]
    write(
        OUT / "purchases.tsv.xz",
        ["user", "item", "minute", "quantity"],
        [
            (users[row["user"]] // 2, row["item"], minute - first, row["quantity"])
            for row, minute in zip(kept, minutes, strict=True)
        ],
    )
    names = {row["item"]: row["name"] for row in read(folder / "items.tsv.xz")}
    items = sorted({row["item"] for row in kept})
    write(OUT / "items.tsv.xz", ["item", "name"], [(item, names[item]) for item in items])
    print(len(kept), "rows", len(items), "items", f"first minute {first}")


if __name__ == "__main__":
    main()
