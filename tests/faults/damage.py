"""Ways to damage a copy of the embedded run: each is a function of its folder, and may return the file to be read."""

import gzip
import os
import re
import shutil
from itertools import pairwise

import numpy as np
from astropy.io import fits

from gammajax import SpectrumDatasetOnOff
from gammajax.data import embedded_ogip_files
from tests.io.test_ogip import BKG, PHA, edit, key

FOLDER = embedded_ogip_files()[0].parent


def table(name, hdu, *changes):
    """Change a table, with sums that fit again: what is refused is refused for what it says, not for its checksum."""

    def damage(run):
        for change in changes:
            edit(run / name, hdu, change)

    return damage


def both(*damages):
    def damage(run):
        for one in damages:
            one(run)

    return damage


# -- bytes -------------------------------------------------------------------------------------------------------------


def cut(name, size):
    """The first bytes only; a negative size leaves so many away."""

    def damage(run):
        whole = (run / name).read_bytes()
        (run / name).write_bytes(whole[:size])

    return damage


def content(name, data):
    return lambda run: (run / name).write_bytes(data)


def gone(name):
    return lambda run: (run / name).unlink()


def flip(name, hdu, part, n):
    """Flip bytes of the data or of the header of an HDU; the sums are left as they are."""

    def damage(run):
        with fits.open(run / name) as hdus:
            place, size = hdus[hdu].fileinfo(), hdus[hdu].size
        data = bytearray((run / name).read_bytes())
        begin, end = place["hdrLoc"], place["datLoc"]
        if part == "data":
            begin, end = end, end + size
        rng = np.random.default_rng(0)
        for at in rng.choice(np.arange(begin, end), n, replace=False):
            data[at] ^= int(rng.integers(1, 256))
        (run / name).write_bytes(bytes(data))

    return damage


def no_sums(name):
    """Take the sums away, as most files have none."""

    def damage(run):
        with fits.open(run / name, memmap=False) as hdus:
            for h in hdus:
                for k in ("CHECKSUM", "DATASUM", "SHA256"):
                    h.header.remove(k, ignore_missing=True)
            hdus.writeto(run / name, overwrite=True)

    return damage


def card(name, hdu, **images):
    """Replace the cards of some keywords by other 80 characters, in a file without sums."""

    def damage(run):
        no_sums(name)(run)
        with fits.open(run / name) as hdus:
            place = hdus[hdu].fileinfo()
        data = (run / name).read_bytes()
        head = data[place["hdrLoc"] : place["datLoc"]]
        cards = [head[i : i + 80] for i in range(0, len(head), 80)]
        for keyword, image in images.items():
            at = next(i for i, c in enumerate(cards) if c.startswith(keyword.ljust(8).encode()))
            cards[at] = image.ljust(80).encode()
        (run / name).write_bytes(data[: place["hdrLoc"]] + b"".join(cards) + data[place["datLoc"] :])

    return damage


def number(name, hdu, **values):
    return card(name, hdu, **{k: f"{k:<8}= {v:>20}" for k, v in values.items()})


def compressed(run):
    (run / "pha.fits.gz").write_bytes(gzip.compress((run / PHA).read_bytes()))
    return run / "pha.fits.gz"


def compressed_and_cut(run):
    path = compressed(run)
    path.write_bytes(path.read_bytes()[:-200])
    return path


def bomb(run):
    """A gigabyte in a hundred thousand bytes: members of zeros behind the spectrum."""
    (run / PHA).write_bytes(gzip.compress((run / PHA).read_bytes()) + gzip.compress(bytes(10_000_000)) * 100)


# -- tables ------------------------------------------------------------------------------------------------------------


def rebuilt(h, columns):
    """Give a table other columns; keywords that do not describe them stay."""
    keep = [
        c
        for c in h.header.cards
        if not re.match(r"T[A-Z]+\d+$|NAXIS|BITPIX|XTENSION|PCOUNT|GCOUNT|TFIELDS|THEAP", c[0])
    ]
    made = fits.BinTableHDU.from_columns(columns)
    h.data, h.header = made.data, made.header
    for c in keep:
        h.header.append(c)


def column(new):
    """Put a column into a table, in place of the one of its name."""

    def change(h):
        rebuilt(h, [*(c for c in h.columns if c.name != new.name), new])

    return change


def rows(stop):
    def change(h):
        h.data = h.data[:stop]

    return change


def swapped_rows(h):
    for name in ("ENERG_LO", "ENERG_HI"):
        h.data[name][[3, 4]] = h.data[name][[4, 3]]


def rate(factor, unit):
    """RATE in place of COUNTS."""

    def change(h):
        values = h.data["COUNTS"] * factor / h.header["EXPOSURE"]
        rebuilt(h, [*(c for c in h.columns if c.name != "COUNTS"), fits.Column("RATE", "E", array=values, unit=unit)])

    return change


def without_hdu(name, hdu):
    def damage(run):
        with fits.open(run / name, memmap=False) as hdus:
            del hdus[hdu]
            for k in ("NEXTEND", "SHA256"):
                hdus[0].header.remove(k, ignore_missing=True)
            hdus.writeto(run / name, overwrite=True, checksum=True)

    return damage


def second_hdu(name, hdu, change=lambda h: None):
    """A copy of an extension at the end of the file."""

    def damage(run):
        with fits.open(run / name, memmap=False) as hdus:
            new = hdus[hdu].copy()
            change(new)
            hdus.append(new)
            hdus[0].header.remove("SHA256", ignore_missing=True)
            hdus.writeto(run / name, overwrite=True, checksum=True)

    return damage


def second_raw(name, hdu):
    """The bytes of an extension once more at the end of the file, one of the data changed, without sums."""

    def damage(run):
        no_sums(name)(run)
        with fits.open(run / name) as hdus:
            place = hdus[hdu].fileinfo()
        data = (run / name).read_bytes()
        copy = bytearray(data[place["hdrLoc"] : place["datLoc"] + place["datSpan"]])
        copy[place["datLoc"] - place["hdrLoc"] + 7] ^= 1
        (run / name).write_bytes(data + bytes(copy))

    return damage


def type_two(run):
    """Three spectra in one table, one in each row."""

    def change(h):
        counts = np.tile(h.data["COUNTS"], (3, 1))
        rebuilt(
            h,
            [fits.Column("SPEC_NUM", "I", array=[1, 2, 3]), fits.Column("COUNTS", f"{counts.shape[1]}J", array=counts)],
        )

    edit(run / PHA, 1, change)


def type_two_of_one(run):
    """One spectrum in the only row."""

    def change(h):
        counts = h.data["COUNTS"][None]
        rebuilt(h, [fits.Column("COUNTS", f"{counts.shape[1]}J", array=counts)])

    edit(run / PHA, 1, change)


def numbered(n, declared=False):
    """A column SPEC_NUM of n numbers, one channel in each row."""

    def change(h):
        numbers = np.arange(len(h.data)) % n + 1
        rebuilt(h, [*h.columns, fits.Column("SPEC_NUM", "I", array=numbers)])
        if declared:
            h.header["HDUCLAS4"] = "TYPE:II"

    return lambda run: edit(run / PHA, 1, change)


def ragged(values, dtype):
    out = np.empty(len(values), dtype=object)
    for i, row in enumerate(values):
        out[i] = np.asarray(row, dtype=dtype)
    return out


def regrouped(split):
    """Write each row of the matrix in other groups of channels: `split` makes (first, length) pairs of (first, length)."""

    def change(h):
        first, length, values, number = [], [], [], []
        for i in range(len(h.data)):
            pairs = [] if not h.data["N_GRP"][i] else split(int(h.data["F_CHAN"][i][0]), int(h.data["N_CHAN"][i][0]))
            first.append([f for f, _ in pairs])
            length.append([n for _, n in pairs])
            number.append(len(pairs))
            values.append(np.atleast_1d(h.data["MATRIX"][i]))
        energies = [c for c in h.columns if c.name.startswith("ENERG")]
        rebuilt(
            h,
            [
                *energies,
                fits.Column("N_GRP", "I", array=np.array(number)),
                fits.Column("F_CHAN", "PI()", array=ragged(first, np.int16)),
                fits.Column("N_CHAN", "PI()", array=ragged(length, np.int16)),
                fits.Column("MATRIX", "PD()", array=ragged(values, float)),
            ],
        )

    return change


def thirds(first, n):
    cuts = sorted({0, n // 3, 2 * n // 3, n})
    return [(first + a, b - a) for a, b in pairwise(cuts)]


# -- places ------------------------------------------------------------------------------------------------------------


def linked(name, target):
    def damage(run):
        (run / name).unlink()
        (run / name).symlink_to(target)

    return damage


def in_another_folder(run):
    """The background in a folder of its own, named by a path with two dots."""
    other = run.parent / f"{run.name}-other"
    other.mkdir()
    shutil.move(run / BKG, other / BKG)
    edit(run / PHA, 1, key("BACKFILE", f"../{other.name}/{BKG}"))


def linked_to_another_folder(run):
    other = run.parent / f"{run.name}-linked"
    other.mkdir()
    shutil.move(run / BKG, other / BKG)
    (run / BKG).symlink_to(other / BKG)


def mixed_sets(name, change):
    """What a writer leaves that was stopped after it had renamed one file of a changed data set."""

    def damage(run):
        d = SpectrumDatasetOnOff.read(run / PHA)
        d.write(run / "x.fits")
        change(d)
        (run / "new").mkdir()
        d.write(run / "new" / "x.fits")
        os.replace(run / "new" / name, run / name)
        return run / "x.fits"

    return damage


def odd_names(run):
    """Spaces and letters beyond ASCII in folder and file."""
    folder = run / "a folder é"
    folder.mkdir()
    for path in list(run.glob("*.fits")):
        shutil.move(path, folder / path.name)
    return (folder / PHA).rename(folder / "Größe 1.fits")


def replaced(run):
    """The spectrum is written anew while its response is being read."""
    import gammajax.io.ogip_read as module

    original = module.read_matrix

    def read_matrix(*args):
        shutil.copy(run / PHA, run / "new.fits")
        os.replace(run / "new.fits", run / PHA)
        module.read_matrix = original
        return original(*args)

    module.read_matrix = read_matrix
