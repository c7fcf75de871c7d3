"""The handwritten digits that scikit-learn carries: 1,797 real images of 8 x 8 pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weft.errors import RefusedError

#: One image in so many is held out.
FOLDS = 5


@dataclass(frozen=True, eq=False)
class Digits:
    """Images to train and calibrate on, and images held out.

    Parameters
    ----------
    train_images, test_images : float32 array, shape (N, 1, 8, 8)
        Pixels from 0 to 16, as scikit-learn has them: the model takes them as they are.
    train_labels, test_labels : int64 array, shape (N,)
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def load_digits(fold: int = FOLDS - 1) -> Digits:
    """Split the images into four fifths and a held-out fifth.

    The split is stratified and needs no random numbers: of each digit's images, in the
    order of the data set, every fifth is held out, starting with number `fold`.

    Parameters
    ----------
    fold : int
        Which of the five splits, from 0; the published model was trained on the default.

    Raises
    ------
    RefusedError
        If scikit-learn is not installed.
    """
    if fold not in range(FOLDS):
        raise ValueError(f"fold must be from 0 to {FOLDS - 1}, not {fold!r}")
    try:
        from sklearn import datasets  # noqa: PLC0415 - only the demo needs it
    except ImportError:
        raise RefusedError(
            "the digits come with scikit-learn, which is not installed: pip install 'weft[demo]'"
        ) from None
    images, labels = datasets.load_digits(return_X_y=True)
    images = images.reshape(-1, 1, 8, 8).astype(np.float32)
    labels = labels.astype(np.int64)
    held_out = np.zeros(len(labels), bool)
    for digit in range(10):
        held_out[np.flatnonzero(labels == digit)[fold::FOLDS]] = True
    return Digits(images[~held_out], labels[~held_out], images[held_out], labels[held_out])
