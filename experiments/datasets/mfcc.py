"""The front end of MLPerf Tiny's keyword spotting: speech to 49 frames of 10 mel-frequency cepstral coefficients."""

from __future__ import annotations

import numpy as np
import scipy.fft
import scipy.signal
from jaxtyping import Float, Int

RATE = 16_000  # Hz
WINDOW, STRIDE, FFT = 480, 320, 512  # samples: 30 ms every 20 ms, padded to a power of two
BANDS, LOWEST, HIGHEST = 40, 20.0, 4_000.0  # mel bands, their edges [Hz]
COEFFICIENTS = 10
FLOOR = 1e-6  # added to a band's magnitude before the logarithm


def features(audio: Float[np.ndarray, "*clips samples"]) -> Float[np.ndarray, "*clips 49 10"]:
    """MFCCs of clips of at most one second at 16 kHz; shorter ones are padded with silence at the end.

    Each clip is divided by its largest value (not its largest magnitude), as in the benchmark; frames of 30 ms every 20 ms
    under a periodic Hann window; magnitudes of a 512-point Fourier transform; 40 triangular bands, linear in mel, from 20 Hz
    to 4 kHz; `ln(band + 1e-6)`; a DCT-II, orthonormal except for its first coefficient, of which the first ten are kept:

    $$ c_k = \\sqrt{2/40} \\sum_m \\ln(b_m + 10^{-6}) \\cos(\\pi k (m + 1/2) / 40) $$

    Args:
        audio: samples, in any unit; a clip of zeros stays zero.

    Raises:
        ValueError: for clips of more than a second.

    Reference: github.com/mlcommons/tiny, benchmark/training/keyword_spotting/get_dataset.py (the settings), and the
    definitions of tf.signal.stft, linear_to_mel_weight_matrix and mfccs_from_log_mel_spectrograms.
    """
    audio = np.asarray(audio, np.float64)
    if audio.shape[-1] > RATE:
        raise ValueError(f"features: clips have {audio.shape[-1]} samples; give at most {RATE}, one second at 16 kHz.")
    top = audio.max(-1, keepdims=True)
    audio = np.divide(audio, top, out=np.zeros_like(audio), where=top > 0)
    padded = np.concatenate([audio, np.zeros((*audio.shape[:-1], RATE - audio.shape[-1]))], -1)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=-1)[..., ::STRIDE, :]
    window = scipy.signal.get_window("hann", WINDOW)  # periodic
    magnitude = np.abs(np.fft.rfft(frames * window, FFT))
    logs = np.log(magnitude @ bands() + FLOOR)
    coefficients = scipy.fft.dct(logs, type=2) / np.sqrt(2 * BANDS)
    return coefficients[..., :COEFFICIENTS].astype(np.float32)


def bands() -> Float[np.ndarray, "257 40"]:
    """Weights of the spectral lines in each mel band: triangles, linear in mel; the line at 0 Hz belongs to none."""
    mel = lambda f: 1127.0 * np.log1p(f / 700.0)  # noqa: E731
    edges = np.linspace(mel(LOWEST), mel(HIGHEST), BANDS + 2)
    lines = mel(np.linspace(0, RATE / 2, FFT // 2 + 1))[:, None]
    rising = (lines - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - lines) / (edges[2:] - edges[1:-1])
    weights = np.maximum(np.minimum(rising, falling), 0)
    weights[0] = 0
    return weights


def resampled(audio: Int[np.ndarray, " samples"], rate: int) -> Float[np.ndarray, " longer"]:
    """A clip at 16 kHz, from one at `rate` [Hz], by a polyphase filter."""
    common = np.gcd(RATE, rate)
    return scipy.signal.resample_poly(audio.astype(np.float64), RATE // common, rate // common)
