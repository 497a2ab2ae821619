"""Models of retention: what becomes of programmed conductances over time."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from devices.fitting.engine.candidate import Data, Values
from devices.fitting.retention import bake_models, failure_models, power_law_models
from devices.fitting.retention.relaxation_models import LogTime, reads_of_writes
from devices.fitting.retention.tails import AbstractTails, MixtureTails, NoTails, StudentTails
from devices.instruments.trace import FileError, Trace


def temperatures(trace: Trace) -> np.ndarray:
    """The temperatures [K] in a trace; one, 300 K, if it gives none."""
    return np.unique(trace["temperature"]) if "temperature" in trace else np.array([300.0])


class _Retention(LogTime):
    kind: ClassVar[str] = "retention"
    shift_nodes: ClassVar[int] = 4

    g_min: Any = None

    @classmethod
    def of(cls, trace: Trace):
        if len(temperatures(trace)) > 1:
            raise FileError(f"is for one temperature, and {trace.name} has {len(temperatures(trace))}.")
        data = reads_of_writes(trace["t"], trace["g"], trace["g0"], trace["device"], trace["device"])
        g_max = float(trace.protocol.get("g_max", np.max(data["g0"])))
        return cls.about(data, g_max, g_min=np.asarray(np.min(data["g0"]))), data

    def laws(self, values: Values, data: Data) -> dict[str, Any]:
        return {**super().laws(values, data), "g_min": self.g_min, "g_max": self.g_max}


class NormalRelaxation(_Retention):
    __doc__ = LogTime.__doc__
    name: ClassVar[str] = "relaxation-normal"
    law: ClassVar[str] = "g(t) - g0 ~ N(m(g0) ln(1 + t/t0), s(g0)^2 (ln(1 + t/t0) + noise)^2p(g0))"
    tails: ClassVar[AbstractTails] = NoTails()


class StudentRelaxation(_Retention):
    __doc__ = LogTime.__doc__
    name: ClassVar[str] = "relaxation-t"
    law: ClassVar[str] = "g(t) - g0 = m(g0) ln(1 + t/t0) + s(g0) (ln(1 + t/t0) + noise)^p(g0) z, z Student t of dof"
    tails: ClassVar[AbstractTails] = StudentTails()


class MixtureRelaxation(_Retention):
    __doc__ = LogTime.__doc__
    name: ClassVar[str] = "relaxation-mixture"
    law: ClassVar[str] = (
        "g(t) - g0 = m(g0) ln(1 + t/t0) + s(g0) (ln(1 + t/t0) + noise)^p(g0) z, z normal, for a share of cells widened"
    )
    tails: ClassVar[AbstractTails] = MixtureTails()


CANDIDATES = (
    NormalRelaxation,
    StudentRelaxation,
    MixtureRelaxation,
    *power_law_models.CANDIDATES,
    *bake_models.CANDIDATES,
    *failure_models.CANDIDATES,
)
