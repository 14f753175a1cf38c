/** Zero crossings of the filter on each side, of the lower of the two rates. */
const CROSSINGS = 32;
/** Of the lower rate's half, where the pass band ends: 3.7 kHz at 8 kHz. */
const ROLL_OFF = 0.925;
/** Kaiser's β: what lies beyond the pass band is 80 dB down. */
const BETA = 8;

/**
 * Another sample rate, by a windowed sinc: blocks that follow each other, so that whoever asks can rest between two.
 * What the lower rate cannot carry is filtered out first.
 */
export function* resampled(
  samples: Float32Array,
  rates: { readonly fromHz: number; readonly toHz: number },
  blockSamples: number,
): Generator<Float32Array> {
  const divisor = greatestCommonDivisor(rates.fromHz, rates.toHz);
  const step = rates.fromHz / divisor;
  const phases = rates.toHz / divisor;
  const bandwidth = ROLL_OFF * Math.min(1, rates.toHz / rates.fromHz);
  const reach = Math.ceil(CROSSINGS / bandwidth);
  const kernels = new Map<number, Float64Array>();
  const total = Math.floor((samples.length * phases) / step);
  for (let begin = 0; begin < total; begin += blockSamples) {
    const block = new Float32Array(Math.min(blockSamples, total - begin));
    for (let no = 0; no < block.length; no++) {
      const place = (begin + no) * step;
      const phase = place % phases;
      let kernel = kernels.get(phase);
      if (kernel === undefined) kernels.set(phase, (kernel = kernelOf(phase / phases, reach, bandwidth)));
      const first = (place - phase) / phases - reach + 1;
      let sum = 0;
      const from = Math.max(0, -first);
      const to = Math.min(kernel.length, samples.length - first);
      for (let tap = from; tap < to; tap++) sum += kernel[tap]! * samples[first + tap]!;
      block[no] = sum;
    }
    yield block;
  }
}

/** @param offset of the wanted sample behind the one in the middle, 0 to 1 */
function kernelOf(offset: number, reach: number, bandwidth: number): Float64Array {
  const kernel = Float64Array.from({ length: 2 * reach }, (_, tap) => {
    const distance = tap - reach + 1 - offset;
    return sinc(distance * bandwidth) * kaiser(distance / reach);
  });
  const sum = kernel.reduce((total, value) => total + value, 0);
  return kernel.map((value) => value / sum);
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

const kaiser = (x: number): number =>
  Math.abs(x) >= 1 ? 0 : bessel0(BETA * Math.sqrt(1 - x * x)) / bessel0(BETA);

/** The modified Bessel function of order 0, by its series. */
function bessel0(x: number): number {
  let sum = 1;
  let term = 1;
  for (let no = 1; term > sum * 1e-12; no++) {
    term *= (x / (2 * no)) ** 2;
    sum += term;
  }
  return sum;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
