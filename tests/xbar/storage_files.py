"""Files that were tampered with by someone who knows the format."""

import hashlib
import shutil

import h5py
import numpy as np


def edited(source, path, old, new):
    """A copy whose description says `new` for `old`, with the right checksum."""
    shutil.copy(source, path)
    with h5py.File(path, "r+") as file:
        text = bytes(file["structure"][()]).decode()
        assert old in text
        rewritten(file, "structure", np.bytes_(text.replace(old, new).encode()))


def rewritten(file, name, data, **options):
    """Another data set in place of one, with the right checksum."""
    del file[name]
    dataset = file.create_dataset(name, data=data, **options)
    raw = bytes(data) if name == "structure" else np.ascontiguousarray(data).tobytes()
    dataset.attrs["sha256"] = np.bytes_(hashlib.sha256(raw).hexdigest())
    return dataset
