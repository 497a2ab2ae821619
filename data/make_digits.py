"""Converts scikit-learn's copy of the UCI handwritten digits into data/digits.h5, byte for byte the same each time.

    python data/make_digits.py

The split is fixed here once and for all: within each class, in the order of the source, every image whose place
leaves remainder 3 by division by 4 goes to the test set (445 images), the others to the training set (1,352).
"""

import hashlib
import io
import pathlib

import h5py
import numpy as np
from sklearn.datasets import load_digits

TARGET = pathlib.Path(__file__).with_name("digits.h5")
SOURCE = {
    "title": "Optical Recognition of Handwritten Digits, test part: 1,797 images of 8 x 8 pixels, grey levels 0 to 16",
    "authors": "E. Alpaydin, C. Kaynak (1998)",
    "doi": "10.24432/C50P49",
    "licence": "CC BY 4.0",
    "obtained": "sklearn.datasets.load_digits; images cast to uint8, nothing else changed",
}


def in_test_set(labels):
    """The fixed split: in each class, the 4th, 8th, 12th ... image."""
    place = np.zeros(len(labels), int)
    for digit in range(10):
        place[labels == digit] = np.arange(np.sum(labels == digit))
    return place % 4 == 3


def main():
    digits = load_digits()
    images, labels = digits.images.astype(np.uint8), digits.target.astype(np.uint8)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=("earliest", "v110")) as file:
        for name, value in {"images": images, "labels": labels, "test": in_test_set(labels)}.items():
            file.create_dataset(name, data=value, compression="gzip", track_times=False)
        file.attrs.update(SOURCE)
        file.attrs["sha256"] = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    TARGET.write_bytes(buffer.getvalue())
    print(TARGET, TARGET.stat().st_size, "bytes", int(in_test_set(labels).sum()), "for testing")


if __name__ == "__main__":
    main()
