"""The publications behind the parameter sets, by DOI.

The DOI identifies a work; authors, titles and pages beside it were entered from memory, as a convenience.
"""

from __future__ import annotations

import dataclasses
import unicodedata


@dataclasses.dataclass(frozen=True)
class Reference:
    """One publication.

    Args:
        authors: "Family, Given; Family, Given; ...", "others" for the rest. venue: journal, or conference with
            `kind="inproceedings"`.
    """

    authors: str
    title: str
    venue: str
    year: int
    volume: str = ""
    pages: str = ""
    kind: str = "article"

    def short(self) -> str:
        """First author, venue and year."""
        family = self.authors.split(",")[0]
        rest = " et al." if ";" in self.authors else ""
        where = f"{self.venue} {self.volume}".strip() + (f", {self.pages}" if self.pages else "")
        return f"{family}{rest}, {where} ({self.year})"

    def bibtex(self, doi: str) -> str:
        """A BibTeX entry."""
        family = unicodedata.normalize("NFKD", self.authors.split(",")[0]).encode("ascii", "ignore").decode()
        key = "".join(c for c in family.lower() if c.isalnum()) + str(self.year)
        venue = "journal" if self.kind == "article" else "booktitle"
        fields = {
            "author": self.authors.replace("; ", " and "),
            "title": f"{{{self.title}}}",
            venue: self.venue,
            "volume": self.volume,
            "pages": self.pages.replace("-", "--"),
            "year": str(self.year),
            "doi": doi,
        }
        body = ",\n".join(f"  {k} = {{{v}}}" for k, v in fields.items() if v)
        return f"@{self.kind}{{{key},\n{body}\n}}"


# ruff: noqa: E501  titles are not broken
_IEDM = "IEEE International Electron Devices Meeting (IEDM)"

REFERENCES = {
    "10.1038/s41467-020-16108-9": Reference(
        "Joshi, Vinay; Le Gallo, Manuel; Haefeli, Simon; others",
        "Accurate deep neural network inference using computational phase-change memory",
        "Nature Communications",
        2020,
        "11",
        "2473",
    ),
    "10.1109/ICECS46596.2019.8964852": Reference(
        "Nandakumar, S. R.; Boybat, Irem; Joshi, Vinay; others",
        "Phase-change memory models for deep learning training and inference",
        "IEEE International Conference on Electronics, Circuits and Systems (ICECS)",
        2019,
        pages="727-730",
        kind="inproceedings",
    ),
    "10.3389/fnins.2020.00406": Reference(
        "Nandakumar, S. R.; Le Gallo, Manuel; Piveteau, Christophe; others",
        "Mixed-precision deep learning based on computational memory",
        "Frontiers in Neuroscience",
        2020,
        "14",
        "406",
    ),
    "10.1038/s41928-023-01010-1": Reference(
        "Le Gallo, Manuel; Khaddam-Aljameh, Riduan; Stanisavljevic, Milos; others",
        "A 64-core mixed-signal in-memory compute chip based on phase-change memory for deep neural network inference",
        "Nature Electronics",
        2023,
        "6",
        "680-693",
    ),
    "10.1109/JSSC.2022.3140414": Reference(
        "Khaddam-Aljameh, Riduan; Stanisavljevic, Milos; Fornt Mas, Jordi; others",
        "HERMES-Core: a 1.59-TOPS/mm2 PCM on 14-nm CMOS in-memory compute core using 300-ps/LSB linearized CCO-based ADCs",
        "IEEE Journal of Solid-State Circuits",
        2022,
        "57",
        "1027-1038",
    ),
    "10.1038/s41586-022-04992-8": Reference(
        "Wan, Weier; Kubendran, Rajkumar; Schaefer, Clemens; others",
        "A compute-in-memory chip based on resistive random-access memory",
        "Nature",
        2022,
        "608",
        "504-512",
    ),
    "10.1109/IRPS46558.2021.9405119": Reference(
        "Milo, Valerio; Anzalone, Francesco; Zambelli, Cristian; others",
        "Optimized programming algorithms for multilevel RRAM in hardware neural networks",
        "IEEE International Reliability Physics Symposium (IRPS)",
        2021,
        kind="inproceedings",
    ),
    "10.1002/adfm.202504688": Reference(
        "Falcone, Donato Francesco; Clerico, Victoria; Choi, Wooseok; others",
        "All-in-one analog AI hardware: on-chip training and inference with conductive-metal-oxide/HfOx ReRAM devices",
        "Advanced Functional Materials",
        2025,
    ),
    "10.1038/s41467-018-04485-1": Reference(
        "Gong, Nanbo; Ide, Takeo; Kim, Seyoung; others",
        "Signal and noise extraction from analog memory elements for neuromorphic computing",
        "Nature Communications",
        2018,
        "9",
        "2102",
    ),
    "10.1109/IEDM45625.2022.10019569": Reference(
        "Gong, Nanbo; Rasch, Malte J.; Seo, Soon-Cheon; others",
        "Deep learning acceleration in 14nm CMOS compatible ReRAM array: device, material and algorithm co-optimization",
        _IEDM,
        2022,
        kind="inproceedings",
    ),
    "10.1021/nl904092h": Reference(
        "Jo, Sung Hyun; Chang, Ting; Ebong, Idongesit; others",
        "Nanoscale memristor device as synapse in neuromorphic systems",
        "Nano Letters",
        2010,
        "10",
        "1297-1301",
    ),
    "10.1109/TCAD.2018.2789723": Reference(
        "Chen, Pai-Yu; Peng, Xiaochen; Yu, Shimeng",
        "NeuroSim: a circuit-level macro model for benchmarking neuro-inspired architectures in online learning",
        "IEEE Transactions on Computer-Aided Design of Integrated Circuits and Systems",
        2018,
        "37",
        "3067-3080",
    ),
    "10.1109/IEDM45625.2022.10019564": Reference(
        "Agrawal, Vineet; Xiao, T. Patrick; Bennett, Christopher H.; others",
        "Subthreshold operation of SONOS analog memory to enable accurate low-power neural network inference",
        _IEDM,
        2022,
        pages="21.7.1-21.7.4",
        kind="inproceedings",
    ),
    "10.1109/IEDM.2018.8614551": Reference(
        "Tang, Jianshi; Bishop, Douglas; Kim, Seyoung; others",
        "ECRAM as scalable synaptic cell for high-speed, low-power neuromorphic computing",
        _IEDM,
        2018,
        kind="inproceedings",
    ),
    "10.1109/IEDM19573.2019.8993463": Reference(
        "Kim, Seyoung; Todorov, Teodor; Onen, Murat; others",
        "Metal-oxide based, CMOS-compatible ECRAM for deep learning accelerator",
        _IEDM,
        2019,
        kind="inproceedings",
    ),
    "10.1109/VLSIT.2018.8510648": Reference(
        "Li, Yulong; Kim, Seyoung; Sun, Xiao; others",
        "Capacitor-based cross-point array for analog neural network with record symmetry and linearity",
        "IEEE Symposium on VLSI Technology",
        2018,
        kind="inproceedings",
    ),
    "10.3389/fnins.2016.00333": Reference(
        "Gokmen, Tayfun; Vlasov, Yurii",
        "Acceleration of deep neural network training with resistive cross-point devices: design considerations",
        "Frontiers in Neuroscience",
        2016,
        "10",
        "333",
    ),
    "10.1109/TCAD.2013.2252057": Reference(
        "Yakopcic, Chris; Taha, Tarek M.; Subramanyam, Guru; Pino, Robinson E.",
        "Generalized memristive device SPICE model and its application in circuit design",
        "IEEE Transactions on Computer-Aided Design of Integrated Circuits and Systems",
        2013,
        "32",
        "1201-1214",
    ),
    "10.1109/IJCNN.2010.5596775": Reference(
        "Oblea, Antonio S.; Timilsina, Achyut; Moore, David; Campbell, Kristy A.",
        "Silver chalcogenide based memristor devices",
        "International Joint Conference on Neural Networks (IJCNN)",
        2010,
        kind="inproceedings",
    ),
    "10.1002/adma.201103379": Reference(
        "Miao, Feng; Strachan, John Paul; Yang, J. Joshua; others",
        "Anatomy of a nanoscale conduction channel reveals the mechanism of a high-performance memristor",
        "Advanced Materials",
        2011,
        "23",
        "5633-5640",
    ),
    "10.1371/journal.pone.0085175": Reference(
        "Nugent, Michael Alexander; Molter, Timothy Wesley",
        "AHaH computing: from metastable switches to attractors to machine learning",
        "PLoS ONE",
        2014,
        "9",
        "e85175",
    ),
    "10.1109/TNANO.2015.2455235": Reference(
        "Miranda, Enrique",
        "Compact model for the major and minor hysteretic I-V loops in nonlinear memristive devices",
        "IEEE Transactions on Nanotechnology",
        2015,
        "14",
        "787-789",
    ),
    "10.3389/fphy.2021.735021": Reference(
        "Aguirre, Fernando Leonel; Pazos, Sebastián M.; Palumbo, Félix; Suñé, Jordi; Miranda, Enrique",
        "SPICE simulation of RRAM-based cross-point arrays using the dynamic memdiode model",
        "Frontiers in Physics",
        2021,
        "9",
        "735021",
    ),
    "10.1109/TNANO.2020.3009734": Reference(
        "Miranda, Enrique; Milano, Gianluca; Ricciardi, Carlo",
        "Modeling of short-term synaptic plasticity effects in ZnO nanowire-based memristors using a potentiation-depression rate balance equation",
        "IEEE Transactions on Nanotechnology",
        2020,
        "19",
        "609-612",
    ),
    "10.1038/s41563-021-01099-9": Reference(
        "Milano, Gianluca; Pedretti, Giacomo; Montano, Kevin; others",
        "In materia reservoir computing with a fully memristive architecture based on self-organizing nanowire networks",
        "Nature Materials",
        2022,
        "21",
        "195-202",
    ),
    "10.1109/TCAD.2018.2791468": Reference(
        "Messaris, Ioannis; Serb, Alexander; Stathopoulos, Spyros; Khiat, Ali; Nikolaidis, Spyridon; Prodromakis, Themistoklis",
        "A data-driven Verilog-A ReRAM model",
        "IEEE Transactions on Computer-Aided Design of Integrated Circuits and Systems",
        2018,
        "37",
        "3151-3162",
    ),
    "10.1007/s00339-011-6296-1": Reference(
        "Chang, Ting; Jo, Sung-Hyun; Kim, Kuk-Hwan; others",
        "Synaptic behaviors and modeling of a metal oxide memristive device",
        "Applied Physics A",
        2011,
        "102",
        "857-863",
    ),
    "10.1039/C5RA19300A": Reference(
        "Slesazeck, Stefan; Mähne, Hannes; Wylezich, Helge; others",
        "Physical model of threshold switching in NbO2 based memristors",
        "RSC Advances",
        2015,
        "5",
        "102318-102322",
    ),
    "10.1088/0957-4484/23/21/215202": Reference(
        "Pickett, Matthew D.; Williams, R. Stanley",
        "Sub-100 fJ and sub-nanosecond thermally driven threshold switching in niobium oxide crosspoint nanodevices",
        "Nanotechnology",
        2012,
        "23",
        "215202",
    ),
    "10.1038/nmat4756": Reference(
        "Wang, Zhongrui; Joshi, Saumil; Savel'ev, Sergey E.; others",
        "Memristors with diffusive dynamics as synaptic emulators for neuromorphic computing",
        "Nature Materials",
        2017,
        "16",
        "101-108",
    ),
    "10.1002/advs.201900024": Reference(
        "Hua, Qilin; Wu, Huaqiang; Gao, Bin; others",
        "A threshold switching selector based on highly ordered Ag nanodots for X-point memory applications",
        "Advanced Science",
        2019,
        "6",
        "1900024",
    ),
    "10.1016/j.neucom.2025.129454": Reference(
        "Ostrovskii, Valerii; Karimov, Timur; Rybin, Vyacheslav; others",
        "Bio-inspired neuron based on threshold selector and tunnel diode capable of excitability modulation",
        "Neurocomputing",
        2025,
        "624",
        "129454",
    ),
    "10.1038/nature06932": Reference(
        "Strukov, Dmitri B.; Snider, Gregory S.; Stewart, Duncan R.; Williams, R. Stanley",
        "The missing memristor found",
        "Nature",
        2008,
        "453",
        "80-83",
    ),
    "10.1109/TCSI.2012.2215714": Reference(
        "Kvatinsky, Shahar; Friedman, Eby G.; Kolodny, Avinoam; Weiser, Uri C.",
        "TEAM: threshold adaptive memristor model",
        "IEEE Transactions on Circuits and Systems I",
        2013,
        "60",
        "211-221",
    ),
    "10.1109/TCSII.2015.2433536": Reference(
        "Kvatinsky, Shahar; Ramadan, Misbah; Friedman, Eby G.; Kolodny, Avinoam",
        "VTEAM: a general model for voltage-controlled memristors",
        "IEEE Transactions on Circuits and Systems II",
        2015,
        "62",
        "786-790",
    ),
    "10.1109/TCSII.2014.2357292": Reference(
        "Kvatinsky, Shahar; Belousov, Dmitry; Liman, Slavik; others",
        "MAGIC: memristor-aided logic",
        "IEEE Transactions on Circuits and Systems II",
        2014,
        "61",
        "895-899",
    ),
    "10.1063/1.3236506": Reference(
        "Pickett, Matthew D.; Strukov, Dmitri B.; Borghetti, Julien L.; others",
        "Switching dynamics in titanium dioxide memristive devices",
        "Journal of Applied Physics",
        2009,
        "106",
        "074508",
    ),
    "10.1109/LED.2012.2210856": Reference(
        "Guan, Ximeng; Yu, Shimeng; Wong, H.-S. Philip",
        "A SPICE compact model of metal oxide resistive switching memory with variations",
        "IEEE Electron Device Letters",
        2012,
        "33",
        "1405-1407",
    ),
    "10.4231/D37H1DN48": Reference(
        "Jiang, Zizhen; Wong, H.-S. Philip",
        "Stanford University resistive-switching random access memory (RRAM) Verilog-A model",
        "nanoHUB",
        2014,
    ),
    "10.1063/5.0055982": Reference(
        "Maldonado, David; Aguirre, Fernando L.; others",
        "Experimental study of the series resistance effect and its impact on the compact modeling of the conduction characteristics of HfO2-based resistive switching memories",
        "Journal of Applied Physics",
        2021,
        "130",
    ),
    "10.1063/1.5108654": Reference(
        "Cueppers, Felix; Menzel, Stephan; Bengel, Christopher; others",
        "Exploiting the switching dynamics of HfO2-based ReRAM devices for reliable analog memristive behavior",
        "APL Materials",
        2019,
        "7",
        "091105",
    ),
    "10.1109/TCSI.2020.3018502": Reference(
        "Bengel, Christopher; Siemon, Anne; Cueppers, Felix; others",
        "Variability-aware modeling of filamentary oxide-based bipolar resistive switching cells using SPICE level compact models",
        "IEEE Transactions on Circuits and Systems I",
        2020,
        "67",
        "4618-4630",
    ),
}
