import { decodeG711 } from './g711.ts';
import type { WavAudio } from './wav.ts';

const PCM_TAG = 1;
const FLOAT_TAG = 3;
const G711_BY_TAG = { 6: 'PCMA', 7: 'PCMU' } as const;

/** Whether {@link monoBlocks} can read it: PCM with 8 to 32 bits, floating point, G.711. */
export const isReadable = (audio: WavAudio): boolean =>
  audio.channels > 0 && readerOf({ ...audio, data: Buffer.alloc(0) }) !== undefined;

/** How many samples each channel has. Of audio that {@link isReadable}. */
export const samplesPerChannel = ({ channels, bitsPerSample, data }: WavAudio): number =>
  Math.floor(data.length / ((bitsPerSample >> 3) * channels));

/** The mean of all channels, full scale is ±1, in blocks that follow each other. Of audio that {@link isReadable}. */
export function* monoBlocks(audio: WavAudio, blockSamples: number): Generator<Float32Array> {
  const { channels, bitsPerSample, data } = audio;
  const frameBytes = (bitsPerSample >> 3) * channels;
  const total = samplesPerChannel(audio);
  for (let begin = 0; begin < total; begin += blockSamples) {
    const end = Math.min(total, begin + blockSamples);
    const read = readerOf({ ...audio, data: data.subarray(begin * frameBytes, end * frameBytes) });
    if (read === undefined) return;
    yield Float32Array.from({ length: end - begin }, (_, no) => {
      let sum = 0;
      for (let channel = 0; channel < channels; channel++) {
        sum += read(no * frameBytes + channel * (bitsPerSample >> 3));
      }
      return sum / channels;
    });
  }
}

function readerOf({ formatTag, bitsPerSample, data }: WavAudio): ((at: number) => number) | undefined {
  if (formatTag === PCM_TAG) {
    switch (bitsPerSample) {
      // Of all widths this one alone has no sign.
      case 8:
        return (at) => (data.readUInt8(at) - 128) / 128;
      case 16:
      case 24:
      case 32:
        return (at) => data.readIntLE(at, bitsPerSample >> 3) / 2 ** (bitsPerSample - 1);
      default:
        return undefined;
    }
  }
  if (formatTag === FLOAT_TAG) {
    if (bitsPerSample === 32) return (at) => data.readFloatLE(at);
    return bitsPerSample === 64 ? (at) => data.readDoubleLE(at) : undefined;
  }
  const law = g711LawOf({ formatTag, bitsPerSample });
  if (law === undefined) return undefined;
  const samples = decodeG711(law, data);
  return (at) => samples[at]! / 32_768;
}

export function g711LawOf({
  formatTag,
  bitsPerSample,
}: Pick<WavAudio, 'formatTag' | 'bitsPerSample'>): 'PCMA' | 'PCMU' | undefined {
  if (bitsPerSample !== 8) return undefined;
  return formatTag === 6 || formatTag === 7 ? G711_BY_TAG[formatTag] : undefined;
}
