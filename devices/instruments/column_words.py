"""Words of headers, in the languages of laboratories: what a column may be called, and what its unit may be called."""

from __future__ import annotations

import re
import unicodedata

# column -> what its header may be, whatever its case, accents, blanks and signs
_WHOLE = {
    "v": "v u voltage vdevice vd vds bias appliedvoltage spannung tension voltaje tensao tensione 电压 電壓 電圧 偏压 "
         "バイアス",
    "v_drive": "vdrive drivevoltage",
    "v_gate": "vgate vg vgs gatevoltage gatebias vwl gatespannung tensiondegrille voltajedepuerta 栅压 栅极电压 ゲート電圧",
    "i": "i current id ids strom stromstarke courant intensite corriente intensidad corrente 电流 電流",
    "t": "t time timestamp zeit temps tiempo tempo 时间 時間 时刻 時刻",
    "g": "g conductance leitwert konduktanz conductancia conduttanza 电导 電導 コンダクタンス",
    "r": "r resistance widerstand resistencia resistenza 电阻 電阻 抵抗 抵抗値",
    "g_before": "gbefore", "g_after": "gafter", "r_before": "rbefore", "r_after": "rafter",
    "g_on": "gon glrs", "g_off": "goff ghrs", "r_on": "ron rlrs", "r_off": "roff rhrs",
    "i_on": "ion ilrs", "i_off": "ioff ihrs", "v_set": "vset", "v_reset": "vreset",
    "g0": "g0 ginitial initialconductance anfangsleitwert", "r0": "r0 rinitial initialresistance anfangswiderstand",
    "target": "target gtarget targetg targetconductance zielleitwert conductancecible conductanciaobjetivo "
              "目标电导 目標コンダクタンス",
    "r_target": "rtarget targetr targetresistance zielwiderstand resistancecible resistenciaobjetivo 目标电阻 目標抵抗",
    "g_low": "glow", "g_high": "ghigh",
    "temperature": "temperature temp temperatur temperatura 温度 溫度",
    "pulse": "pulse pulsenumber pulseno pulseindex puls pulsnummer impuls impulsnummer impulsion "
             "impulsionno numerodepulso pulso 脉冲 脉冲数 脉冲序号 脈衝 パルス パルス数 パルス番号",
    "direction": "direction richtung sens direccion 方向",
    "polarity": "polarity polaritat polarite polaridad 极性 極性",
    "cycle": "cycle cyclenumber cycleno cycleindex repetition repeat sweep sweepnumber sweepno scan scannumber loop "
             "loopnumber run runnumber iteration zyklus zyklen zyklusnummer ciclo 循环 循环数 周期 週期 サイクル サイクル数",
    "device": "device cell address addr deviceid devicename zelle bauelement cellule dispositif dispositivo celda "
              "器件 单元 元件 素子 セル デバイス",
    "place": "chip die sample wafer probe echantillon muestra 芯片 样品 チップ サンプル wordline bitline",
    "amplitude": "amplitude pulseamplitude pulsvoltage pulsevoltage pulsamplitude impulsamplitude amplitud "
                 "脉冲幅度 パルス電圧",
    "width": "width pulsewidth pulsbreite pulsdauer impulsbreite impulsdauer largeur ancho anchodepulso "
             "脉宽 脉冲宽度 パルス幅",
    "level": "level state zustand niveau etat estado nivel 状态 狀態 状態",
    "write": "write", "accepted": "accepted",
}  # fmt: skip
# unit -> words of a header that is none of these, and the column where its unit is that one; None: not the device's
_GATE = "gate|vg|vgs|ig|igs|grille|puerta|.*栅.*|.*柵.*|ゲート.*|gate(spannung|strom)|leak|leakage|leckstrom"
_TARGET = "target|ziel|ziel(leitwert|widerstand)|cible|objetivo|.*目[标標].*"
WORDS: dict[str, tuple[tuple[str, str | None], ...]] = {
    "s": (("time|elapsed|timestamp|.*zeit|temps|tiempo|.*时间|.*時間", "t"),),
    "V": (
        (_GATE, "v_gate"),
        (r"voltage|volt|volts|bias|potential|v|.*spannung|tension|voltaje|.*电压|.*電[圧壓]", "v"),
    ),
    "A": ((_GATE, None), (r"current|i|.*strom|courant|corriente|.*[电電]流", "i")),
    "S": (
        (_TARGET, "target"),
        ("ltp|potentiation", "g_up"),
        ("ltd|depression", "g_down"),
        ("lrs|on", "g_on"),
        ("hrs|off", "g_off"),
        ("conductance|g|.*leitwert|conductancia|.*[电電][导導]|.*コンダクタンス", "g"),
    ),
    "ohm": (
        (_TARGET, "r_target"),
        ("ltp|potentiation", "r_up"),
        ("ltd|depression", "r_down"),
        ("lrs|on", "r_on"),
        ("hrs|off", "r_off"),
        ("resistance|r|.*widerstand|resistencia|.*[电電]阻|.*抵抗.*", "r"),
    ),
    "K": (("t|temp|temperature|temperatur|temperatura|.*[温溫]度.*", "temperature"),),
}
# names of units that are not symbols
UNITS = {
    "V": "volt volts voltios 伏 伏特 ボルト", "mV": "millivolt 毫伏", "A": "amp amps ampere amperes amperios 安 安培 アンペア",
    "mA": "milliampere 毫安", "uA": "microampere mikroampere 微安", "nA": "nanoampere 纳安",
    "s": "sec second seconds sek sekunde sekunden seconde secondes segundo segundos 秒", "ms": "毫秒 ミリ秒",
    "us": "微秒 マイクロ秒",
    "ns": "纳秒 ナノ秒", "min": "minute minutes minuten minutos 分 分钟",
    "h": "hr hrs hour hours std stunde stunden heure heures hora horas 小时", "d": "day days tage jours dias 天",
    "S": "siemens mho 西门子 ジーメンス", "uS": "微西",
    "ohm": "ohms ω 欧 欧姆 歐姆 オーム ohmios", "kohm": "千欧 キロオーム", "Mohm": "兆欧", "C": "degc celsius 摄氏度 ℃ 度",
    "K": "kelvin",
}  # fmt: skip


def plain(name: str) -> str:
    """A name without case, accents, blanks and signs: `Größe R_0` is `grosser0`."""
    apart = unicodedata.normalize("NFKD", narrow(name).casefold())
    joined = unicodedata.normalize("NFC", "".join(c for c in apart if not "\u0300" <= c <= "\u036f"))
    return re.sub(r"[\W_]", "", joined)


def narrow(text: str) -> str:
    """The text with brackets, letters and signs of full width, as Chinese and Japanese keyboards write them, as ASCII."""
    wide = (unicodedata.normalize("NFKC", c) if "\uff00" <= c <= "\uffef" or c == "\u3000" else c for c in text)
    return "".join(wide).translate(str.maketrans("【】〔〕", "[][]"))


NAMES = {plain(word): column for column, words in _WHOLE.items() for word in words.split()}
EASTERN = tuple(
    word for words in _WHOLE.values() for word in words.split() if min(word) >= "\u3040"
)  # for their encodings
UNIT_NAMES = {word: unit for unit, words in UNITS.items() for word in words.split()}


def words(name: str) -> list[str]:
    """The words of a header, without case and accents; `Icell` and `VMem` come apart where the case changes."""
    apart = re.findall(r"[^\W\d_]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", narrow(name)))
    return [w for w in map(plain, apart) if w]
