"""Models of noise: spectra of single cells, of many, and telegraph signals. See the modules imported here."""

from devices.fitting.read_noise.spectrum_models import (
    LorentzianSpectrum,
    PowerAndLorentzian,
    PowerAndTwoLorentzians,
    PowerSpectrum,
    WhiteSpectrum,
)
from devices.fitting.read_noise.spectrum_population import PopulationSpectrum
from devices.fitting.read_noise.telegraph_models import OneTrap, ThreeLevels, TwoTraps

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
