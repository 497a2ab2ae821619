"""Models of noise: spectra of single cells, of many, and telegraph signals. See the modules imported here."""

from devices.fitting.spectra_population import PopulationSpectrum
from devices.fitting.spectrum_models import (
    LorentzianSpectrum,
    PowerAndLorentzian,
    PowerAndTwoLorentzians,
    PowerSpectrum,
    WhiteSpectrum,
)
from devices.fitting.telegraph import OneTrap, ThreeLevels, TwoTraps

CANDIDATES = (
    WhiteSpectrum,
    PowerSpectrum,
    LorentzianSpectrum,
    PowerAndLorentzian,
    PowerAndTwoLorentzians,
    PopulationSpectrum,
    OneTrap,
    TwoTraps,
    ThreeLevels,
)
