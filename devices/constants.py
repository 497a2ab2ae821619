"""Physical constants (CODATA, from SciPy), in SI units unless stated otherwise."""

from scipy.constants import e as ELEMENTARY_CHARGE  # [C]
from scipy.constants import epsilon_0 as VACUUM_PERMITTIVITY  # [F/m]
from scipy.constants import h as PLANCK  # [J s]
from scipy.constants import k as BOLTZMANN  # [J/K]
from scipy.constants import m_e as ELECTRON_MASS  # [kg]

BOLTZMANN_EV = BOLTZMANN / ELEMENTARY_CHARGE  # [eV/K], and [V/K]: kT/q

__all__ = [
    "BOLTZMANN",
    "BOLTZMANN_EV",
    "ELECTRON_MASS",
    "ELEMENTARY_CHARGE",
    "PLANCK",
    "VACUUM_PERMITTIVITY",
]
