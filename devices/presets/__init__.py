"""Published devices, each with its source and the range of its data.

Each is a function that makes a `Device`; `devices.describe(name)` says what is known about it.
"""

from devices.presets.capacitive import capacitor_li2018
from devices.presets.electrochemical import ecram_lithium_tang2018, ecram_oxide_kim2019
from devices.presets.phase_change import pcm_hermes2023, pcm_joshi2020, pcm_nandakumar2020
from devices.presets.reference import constant_step_gokmen2016, ideal
from devices.presets.resistive_switching import (
    agsi_jo2010,
    reram_array_hfo2_gong2022,
    reram_array_om_gong2022,
    reram_cmo_falcone2025,
    reram_gong2018,
    reram_milo2021,
    reram_wan2022,
    tio2_crossbar,
)
from devices.presets.sonos import sonos_agrawal2022

__all__ = [
    "agsi_jo2010",
    "capacitor_li2018",
    "constant_step_gokmen2016",
    "ecram_lithium_tang2018",
    "ecram_oxide_kim2019",
    "ideal",
    "pcm_hermes2023",
    "pcm_joshi2020",
    "pcm_nandakumar2020",
    "reram_array_hfo2_gong2022",
    "reram_array_om_gong2022",
    "reram_cmo_falcone2025",
    "reram_gong2018",
    "reram_milo2021",
    "reram_wan2022",
    "sonos_agrawal2022",
    "tio2_crossbar",
]
