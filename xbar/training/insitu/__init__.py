"""Training on the arrays: gradients that the chip finds itself, and pulses to its own cells.

`backpropagate` reads every array forward and backward and gives the factors of each gradient; `on_arrays` is an Optax
transformation whose state holds the chip, and an algorithm turns factors into pulses.
"""

from xbar.training.insitu.algorithm import AbstractAlgorithm, Lines, Rows
from xbar.training.insitu.backpropagation import Factors, Gradients, backpropagate
from xbar.training.insitu.descent import SGD, ClosedLoop, Manhattan, MixedPrecision, MultiDevice, OneSided
from xbar.training.insitu.fast_array import FastArray
from xbar.training.insitu.learning_chip import LearningRule, OnArrays, on_arrays
from xbar.training.insitu.site import Site
from xbar.training.insitu.spent import Drive, Spent
from xbar.training.insitu.transfer import (
    BufferedTransfer,
    ResidualLearning,
    TikiTaka,
    agad,
    chopped_tiki_taka2,
    tiki_taka2,
)

__all__ = [
    "SGD",
    "AbstractAlgorithm",
    "BufferedTransfer",
    "ClosedLoop",
    "Drive",
    "Factors",
    "FastArray",
    "Gradients",
    "LearningRule",
    "Lines",
    "Manhattan",
    "MixedPrecision",
    "MultiDevice",
    "OnArrays",
    "OneSided",
    "ResidualLearning",
    "Rows",
    "Site",
    "Spent",
    "TikiTaka",
    "agad",
    "backpropagate",
    "chopped_tiki_taka2",
    "on_arrays",
    "tiki_taka2",
]
